// Generated from GET /openapi.json and GET /asyncapi.json by gateways.documents.typescript. Do not edit.
// Readers pass over fields that they do not know; new ones may come in any release.

/** Heard up to this message. */
export interface Ack {
  type: "ACK";
  id: string;
}

/** Why an admin acts. */
export interface ActBody {
  reason: string;
  note?: string;
}

/** Admin actions need a note. */
export interface AdminNoteBody {
  note: string;
}

/** The driver whom an admin names. */
export interface AssignBody {
  driver_id: string;
  note: string;
}

/** The driver holds the delivery no longer. */
export interface AssignmentEnded {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "ASSIGNMENT_ENDED";
  event: "assignment_ended";
  offer_id: string;
  delivery_id: string;
  why: string;
}

/** Newest first; `next` is given back as `before`. */
export interface Attempts {
  attempts: Record<string, unknown>[];
  next?: number | null;
}

/** Everything that happened, in order. */
export interface Audit {
  events: AuditEvent[];
}

/** One event, as it was recorded, with the hash that chains it to the one before. */
export interface AuditEvent {
  event: string;
  audit_word?: string | null;
  version: number;
  /** ISO-8601, UTC. */
  at: string;
  actor_type: string;
  actor_id: string;
  causation_id: string;
  body: Record<string, unknown>;
  hash: string;
}

/** Newest first. */
export interface AuditLogs {
  next_cursor?: string | null;
  events: Record<string, unknown>[];
}

/** From one availability to another. */
export interface AvailabilityChanged {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "AVAILABILITY_CHANGED";
  /** availability_changed, or break_expired when a break ended by itself */
  event: string;
  from: "AVAILABLE" | "BUSY" | "ON_BREAK" | "SHIFT_ENDED" | "OFFLINE" | "PAUSED";
  to: "AVAILABLE" | "BUSY" | "ON_BREAK" | "SHIFT_ENDED" | "OFFLINE" | "PAUSED";
  reason: string;
  until?: string | null;
}

/** Newest first. */
export interface AvailabilityHistory {
  next_cursor?: string | null;
  changes: Record<string, unknown>[];
}

/** An arrival: about 80% fall between p10 and p90. */
export interface Band {
  p10?: string | null;
  /** ISO-8601, UTC. */
  p50: string;
  p90?: string | null;
  confidence_percent?: number | null;
}

/** A break wanted. */
export interface BreakBody {
  minutes: number;
  reason?: string;
}

/** Two minutes before. */
export interface BreakEndsSoon {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "BREAK_ENDS_SOON";
  event: "break_ends_soon";
  /** ISO-8601, UTC. */
  until: string;
}

/** It ends later. */
export interface BreakExtended {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "BREAK_EXTENDED";
  event: "break_extended";
  /** ISO-8601, UTC. */
  until: string;
}

/** Operations say something to drivers. */
export interface Broadcast {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "BROADCAST";
  event: "broadcast";
  broadcast_id: string;
  text: string;
  zone_id?: string | null;
}

/** What drivers are told. Without a zone: all who are on their shift. */
export interface BroadcastBody {
  text: string;
  zone_id?: string | null;
  reason: string;
}

/** It is on its way. */
export interface BroadcastTaken {
  broadcast_id: string;
  outcome: string;
}

/** Why an order is not wanted any more. */
export interface CancelBody {
  reason: string;
  note?: string;
}

/** Newest first. */
export interface Changes {
  changes: Record<string, unknown>[];
}

/** How versions must agree. */
export interface Compatibility {
  compatibilityLevel: "FULL_TRANSITIVE";
}

/** Whom it goes to: told to nobody but the driver who holds the delivery. */
export interface Contact {
  name: string;
  phone: string;
  address: string;
  note: string;
}

/** Whom to tell. */
export interface Customer {
  name?: string;
  phone?: string;
  /** ISO 639-1, of notices to them. */
  language?: string;
  /** Said at the door; empty: one is made. */
  pin?: string;
}

/** What was set aside; `content` only where it is nobody's affair. */
export interface DeadLetter {
  status: string;
  retryable: boolean;
  not_retryable_why?: string | null;
  content?: unknown;
}

/** What was done with it. */
export interface DeadLetterHandled {
  letter_id: string;
  status: string;
  by: string;
  reason: string;
}

/** Newest first. */
export interface DeadLetterList {
  next_cursor?: string | null;
  dead_letters: Record<string, unknown>[];
}

/** A delivery as the read model knows it, a moment behind. Nothing here names the customer. */
export interface Delivery {
  delivery_id: string;
  seller_id: string;
  seller_order_id: string;
  status: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled";
  driver_id?: string | null;
  needs_manual_review: boolean;
  attempt_count?: number | null;
}

/** The driver holds the delivery. `contact` is null when it is not known now. */
export interface DeliveryAssigned {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  offer_id: string;
  delivery_id: string;
  store_name: string;
  pickup: Place;
  dropoff: Place;
  pickup_in_min?: number | null;
  delivery_at?: string | null;
  pickup_distance_km?: number | null;
  total_distance_km?: number | null;
  earning?: Money | null;
  incentive?: Money | null;
  earning_parts?: EarningParts | null;
  type: "DELIVERY_ASSIGNED";
  event: "delivery_assigned";
  how?: string | null;
  contact?: Contact | null;
}

/** Newest first. */
export interface DeliveryList {
  next_cursor?: string | null;
  deliveries: Record<string, unknown>[];
}

/** Where its driver is; null when nobody has it or knows. */
export interface DeliveryLocation {
  delivery_id: string;
  status: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled";
  location: Fix | null;
}

/** An offer, to be answered before `expires_at`. */
export interface DeliveryOffered {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  offer_id: string;
  delivery_id: string;
  store_name: string;
  pickup: Place;
  dropoff: Place;
  pickup_in_min?: number | null;
  delivery_at?: string | null;
  pickup_distance_km?: number | null;
  total_distance_km?: number | null;
  earning?: Money | null;
  incentive?: Money | null;
  earning_parts?: EarningParts | null;
  type: "DELIVERY_OFFERED_V2";
  event: "offer_created";
  /** ISO-8601, UTC. */
  expires_at: string;
}

/** Driver and place from assignment to hand-over only. */
export interface DeliveryStatus {
  delivery_id: string;
  version: number;
  status: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled";
  store_name?: string | null;
  driver?: DriverCard | null;
  location?: Fix | null;
  pickup_eta?: Band | null;
  delivery_eta?: Band | null;
  prep_minutes?: number | null;
  tracking_url?: string | null;
}

/** An object. */
export type Document = Record<string, unknown>;

/** A driver as the read model knows them, a moment behind. */
export interface Driver {
  driver_id: string;
  availability: "AVAILABLE" | "BUSY" | "ON_BREAK" | "SHIFT_ENDED" | "OFFLINE" | "PAUSED";
}

/** The driver in public words. */
export interface DriverCard {
  first_name?: string | null;
  rating?: number | null;
  vehicle: string;
  phone_masked?: string | null;
}

/** By id. */
export interface DriverList {
  next_cursor?: string | null;
  drivers: Record<string, unknown>[];
}

/** Drivers near by are asked. */
export interface DriversRequested {
  request_id: string;
  zone: string;
  /** ISO-8601, UTC. */
  at: string;
}

/** The customer's door. */
export interface Dropoff {
  lat: number;
  lng: number;
  address?: string;
  note?: string;
}

/** They add up to the earning. */
export interface EarningParts {
  base_minor?: number | null;
  distance_minor?: number | null;
  time_minor?: number | null;
  multiplier_percent?: number | null;
  multiplier_minor?: number | null;
  incentive_minor?: number | null;
  incentive_refused?: string | null;
}

/** What settled deliveries cost and brought, each currency by itself. */
export interface Economics {
  by: string;
  groups: Record<string, unknown>[];
  total?: Record<string, unknown>[] | null;
  truncated: boolean;
}

/** Whether what was missed is told now. */
export interface EnableBody {
  /** Why; wanted of ops and admins. */
  reason?: string;
  redeliver?: boolean;
}

/** When the shift ends. */
export interface EndShiftBody {
  after_delivery?: boolean;
}

/** A seller's endpoint. `secret` is shown when it is made or rotated, and never again. */
export interface Endpoint {
  endpoint_id: string;
  url?: string | null;
  /** whsec_... */
  secret?: string | null;
}

/** A new endpoint. */
export interface EndpointBody {
  seller_id: string;
  /** https://, of the public internet */
  url: string;
  /** Which are told; none: all. */
  event_types?: ("delivery.created" | "delivery.assigned" | "delivery.reassigned" | "delivery.enroute_to_pickup" | "delivery.arrived_at_pickup" | "delivery.picked_up" | "delivery.enroute_to_dropoff" | "delivery.arrived_at_dropoff" | "delivery.delivered" | "delivery.failed" | "delivery.returned" | "delivery.cancelled" | "delivery.eta_changed" | "delivery.escalated" | "delivery.needs_manual_review" | "delivery.manual_review_ended")[];
  description?: string;
  /** Why; wanted of ops and admins. */
  reason?: string;
}

/** What is to be otherwise. */
export interface EndpointChange {
  url?: string | null;
  event_types?: ("delivery.created" | "delivery.assigned" | "delivery.reassigned" | "delivery.enroute_to_pickup" | "delivery.arrived_at_pickup" | "delivery.picked_up" | "delivery.enroute_to_dropoff" | "delivery.arrived_at_dropoff" | "delivery.delivered" | "delivery.failed" | "delivery.returned" | "delivery.cancelled" | "delivery.eta_changed" | "delivery.escalated" | "delivery.needs_manual_review" | "delivery.manual_review_ended")[] | null;
  description?: string | null;
  /** Why; wanted of ops and admins. */
  reason?: string;
}

/** Those of the sellers whom the asker speaks for. */
export interface Endpoints {
  endpoints: Endpoint[];
}

/** `delivery_eta_updated` */
export interface EtaUpdated {
  delivery_id: string;
  version: number;
  /** ISO-8601, UTC. */
  at: string;
  pickup_eta?: Band | null;
  delivery_eta?: Band | null;
  why: string;
}

/** More minutes. */
export interface ExtendBody {
  minutes: number;
}

/** Why it cannot be completed. */
export interface FailBody {
  offer_id: string;
  note?: string;
  reason: string;
}

/** GeoJSON (RFC 7946). */
export interface FeatureCollection {
  type: string;
  features: Record<string, unknown>[];
}

/** v1: whether a driver was found at once. */
export interface FirstAnswer {
  assigned: boolean;
  delivery_id: string;
  offer_id?: string | null;
}

/** A place with its accuracy and age. */
export interface Fix {
  lat: number;
  lng: number;
  accuracy_m?: number | null;
  /** ISO-8601, UTC. */
  at: string;
  age_s: number;
}

/** A feature flag. */
export interface Flag {
  flag?: string | null;
  enabled: boolean;
  rollout_percent: number;
}

/** A flag's setting; what is left out stays as it is. */
export interface FlagBody {
  enabled?: boolean | null;
  rollout_percent?: number | null;
  zones?: string[] | null;
  /** Why; kept in the history. */
  reason: string;
}

/** The flags. */
export interface FlagList {
  flags: Flag[];
}

/** Why an admin acts. */
export interface HandleBody {
  reason: string;
}

/** Which parts answer. */
export interface Health {
  status: "up" | "degraded" | "draining";
  parts: Record<string, string>;
}

/** About the delivery in hand. */
export interface HeldBody {
  offer_id: string;
  note?: string;
}

/** A delivery in a driver's hands. `contact` is null when it is not known now, and `dropoff` is then rounded. */
export interface InHand {
  delivery_id: string;
  offer_id?: string | null;
  status: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled";
  pickup: Place;
  dropoff: Place;
  contact: Contact | null;
}

/** A bonus for each delivery picked up in a zone. */
export interface Incentive {
  incentive_id: string;
  zone: string;
}

/** A bonus for each delivery picked up in a zone, for so many hours. */
export interface IncentiveBody {
  incentive_id?: string;
  zone: string;
  bonus_minor: number;
  currency: string;
  starts_at?: string | null;
  hours?: number;
  reason: string;
}

/** Those that run or are to come. */
export interface Incentives {
  incentives: Incentive[];
}

/** None of the delivery's links opens anything. */
export interface LinksRevoked {
  delivery_id: string;
  revoked: number;
}

/** One page: `next_cursor` is given back as `cursor` for the next one; null at the end. */
export interface Listed {
  next_cursor?: string | null;
}

/** Drivers on duty and orders that wait, within a box. */
export interface LiveMap {
  /** ISO-8601, UTC. */
  at: string;
  drivers: Record<string, unknown>[];
  waiting: Record<string, unknown>[];
  more: boolean;
}

/** Where the driver is. */
export interface Location {
  type: "LOCATION";
  lat: number;
  lng: number;
  accuracy_m?: number | null;
  at?: string | null;
}

/** Where a driver is. */
export interface LocationBody {
  lat: number;
  lng: number;
  accuracy_m?: number;
  at?: string | null;
}

/** `delivery_location_updated`: from assignment to hand-over only. It has no id. */
export interface LocationUpdated {
  delivery_id: string;
  location: Fix;
}

/** A message is on its way. */
export interface MessageSent {
  message_id: string;
  event_type: string;
}

/** Whether schemas can be written. */
export interface Mode {
  mode: "READONLY";
}

/** Minor units: cents of EUR, yen of JPY. */
export interface Money {
  amount_minor: number;
  currency: string;
}

/** What the driver must bring. */
export interface NeedsBody {
  vehicle?: "any" | "bicycle" | "scooter" | "motorbike" | "car" | "van";
}

/** An offer to a driver. The drop-off is rounded to 0.001 degrees. */
export interface Offer {
  offer_id: string;
  delivery_id: string;
  driver_id: string;
  outcome: "PENDING" | "ACCEPTED" | "REJECTED" | "EXPIRED" | "WITHDRAWN";
  store_name?: string | null;
  pickup: Place;
  dropoff: Place;
  sent_at?: string | null;
  expires_at?: string | null;
  earning: Money;
  incentive: Money;
  earning_parts?: EarningParts | null;
}

/** An answer to an offer; without the delivery's id it is looked up. */
export interface OfferAnswer {
  delivery_id?: string | null;
}

/** Search and offer now; to the driver named, if one is: operations only, with a note. */
export interface OfferBody {
  driver_id?: string | null;
  note?: string;
}

/** An offer is over. */
export interface OfferEnded {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "OFFER_ENDED";
  /** offer_accepted, offer_rejected, offer_expired, offer_withdrawn */
  event: string;
  offer_id: string;
  delivery_id: string;
  outcome: string;
  why: string;
}

/** What was decided, and the offer if one was made in time. */
export interface Offered {
  command_id: string;
  outcome: string;
  /** Of the delivery or driver afterwards. */
  status: string;
  /** Of the delivery or driver afterwards: its events so far. */
  version: number;
  delivery_id?: string | null;
  driver_id?: string | null;
  offer_id?: string | null;
}

/** Newest first. */
export interface Offers {
  offers: Offer[];
}

/** An order, placed or ready. */
export interface OrderBody {
  seller_id: string;
  seller_order_id: string;
  pickup: Pickup;
  dropoff: Dropoff;
  order_value_minor: number;
  delivery_fee_minor?: number;
  currency: string;
  quote_id?: string;
  prep_s?: number;
  placed_at?: string | null;
  customer?: Customer;
  requirements?: Requirements;
}

/** What was decided. `repeated`: this command was decided before, with the same outcome. */
export interface Outcome {
  command_id: string;
  outcome: string;
  /** Of the delivery or driver afterwards. */
  status: string;
  /** Of the delivery or driver afterwards: its events so far. */
  version: number;
  delivery_id?: string | null;
  driver_id?: string | null;
  offer_id?: string | null;
}

/** What becomes of the delivery in hand. */
export interface PauseBody {
  reason: string;
  held?: "keep" | "reassign";
}

/** Not decided in time; it will be. `ask` is where to look. */
export interface Pending {
  command_id: string;
  outcome: "pending";
  ask: string;
  delivery_id?: string | null;
  driver_id?: string | null;
  offer_id?: string | null;
}

/** Drivers' scores with their parts. */
export interface Performance {
  next_cursor?: string | null;
  drivers: Record<string, unknown>[];
}

/** The store. */
export interface Pickup {
  name: string;
  lat: number;
  lng: number;
}

/** What the customer tells the driver at the door; null when none is wanted. */
export interface Pin {
  pin: string | null;
}

/** A sign of life. */
export interface Ping {
  type: "PING";
}

/** How many were taken, and which were not. */
export interface PingsTaken {
  taken: number;
  refused?: Record<string, unknown>[] | null;
}

/** Degrees, WGS 84. */
export interface Place {
  lat: number;
  lng: number;
}

/** Somewhere. */
export interface PlaceBody {
  lat: number;
  lng: number;
}

/** The policy in force; the version is the ETag too. */
export interface Policy {
  version: number;
  document: Record<string, unknown>;
}

/** A whole policy, to be put in force. */
export interface PolicyBody {
  /** A policy: chapters of fields; what it leaves out has its default. */
  document: Record<string, unknown>;
  /** Why; kept in the history. */
  reason: string;
}

/** What was changed; without differences nothing was. */
export interface PolicyChanged {
  version: number;
  differences: unknown[];
}

/** A part of the policy, to be put in force. */
export interface PolicyChangesBody {
  /** Only what shall be otherwise (RFC 7396); null brings a default back. */
  changes: Record<string, unknown>;
  /** Why; kept in the history. */
  reason: string;
}

/** What a document would change. */
export interface PolicyCheck {
  version: number;
  good: boolean;
  findings: unknown[];
  differences: unknown[];
}

/** What would be put in force: a document or changes. */
export interface PolicyCheckBody {
  document?: Record<string, unknown> | null;
  changes?: Record<string, unknown> | null;
}

/** Newest first; `before` is given back for older ones. */
export interface PolicyHistory {
  versions: Record<string, unknown>[];
  before?: number | null;
}

/** The answer to PING. */
export interface Pong {
  type: "PONG";
}

/** The store's new estimate. */
export interface PrepTimeBody {
  prep_s: number;
}

/** An error (RFC 9457). Programs go by `code`, people by `detail`. */
export interface Problem {
  /** urn:baton:problem: and the code. */
  type: string;
  title: string;
  status: number;
  /** Stable; new ones may come. */
  code: string;
  detail: string;
  /** The path that was asked. */
  instance: string;
  errors?: Wrong[] | null;
}

/** A courier's step. */
export interface ProgressBody {
  offer_id: string;
  step: "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered";
  /** Where the photo is kept. */
  proof_ref?: string | null;
  /** Where the signature is kept. */
  signature_ref?: string | null;
  /** As the customer says it at the door. */
  pin?: string;
}

/** What was shown at the door. */
export interface Proof {
  delivery_id: string;
}

/** A fee, held until `expires_at`. */
export interface Quote {
  quote_id: string;
  /** ISO-8601, UTC. */
  expires_at: string;
}

/** A delivery whose price is asked for. */
export interface QuoteBody {
  pickup: PlaceBody;
  dropoff: PlaceBody;
  requirements?: NeedsBody;
  prep_s?: number;
  /** The seller's id; its history counts. */
  store?: string;
  /** Empty: the policy's. */
  currency?: string;
}

/** All that was missed, or the present state, has been told. */
export interface Ready {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "READY";
  event: "ready";
  resumed: boolean;
}

/** Admin actions need a reason. */
export interface ReasonBody {
  reason: string;
}

/** Search again, or the driver who shall take it. */
export interface ReassignBody {
  reason: string;
  note?: string;
  driver_id?: string | null;
}

/** What the app said is not taken. */
export interface Refused {
  type: "REFUSED";
  code: string;
  detail: string;
}

/** An error in Confluent's words; the first three digits are the HTTP status. */
export interface RegistryError {
  error_code: number;
  message: string;
}

/** Why an offer is refused. */
export interface RejectBody {
  delivery_id?: string | null;
  reason: "too_far" | "no_time" | "bad_area" | "vehicle" | "earning" | "other";
  note?: string;
}

/** What available drivers near a zone are told. */
export interface RequestDriversBody {
  note: string;
}

/** What the driver must bring. */
export interface Requirements {
  vehicle?: "any" | "bicycle" | "scooter" | "motorbike" | "car" | "van";
  size?: number;
  age_check?: boolean;
  cash?: boolean;
  proof?: "none" | "photo" | "signature" | "pin";
}

/** What came after `since` is not known here: the present state follows. */
export interface Resync {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "RESYNC";
  event: "resync";
  why: string;
}

/** An Avro schema as text. */
export interface SchemaText {
  schema: string;
}

/** Zones as they are, and over time. */
export interface Series {
  zones: Record<string, unknown>[];
  series: Record<string, unknown>[];
  step_s: number;
  truncated: boolean;
}

/** Whether it could be delivered now. */
export interface Serviceability {
  serviceable: boolean;
  zone: string;
}

/** A delivery that somebody thinks of ordering. */
export interface ServiceabilityBody {
  pickup: PlaceBody;
  dropoff: PlaceBody;
  requirements?: NeedsBody;
  prep_s?: number;
  /** The seller's id; its history counts. */
  store?: string;
}

/** What a driver brings. */
export interface SignOnBody {
  vehicle: "bicycle" | "scooter" | "motorbike" | "car" | "van";
  capacity?: number;
  rating?: number;
  lat: number;
  lng: number;
  /** Of it customers see the first word. */
  name?: string;
  /** Of it customers see the last three digits. */
  phone?: string;
  /** ISO 639-1, of notices to them. */
  language?: string;
}

/** `delivery_status_updated` */
export interface StatusUpdated {
  delivery_id: string;
  version: number;
  /** ISO-8601, UTC. */
  at: string;
  status: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled";
}

/** A delivery's history in sentences. */
export interface Story {
  next_cursor?: string | null;
  story: Record<string, unknown>[];
}

/** `closed`: the stream's last message. `delivery_ended`: there is no more; otherwise come again. */
export interface StreamClosed {
  reason: string;
}

/** Where an id stands. */
export interface SubjectVersion {
  subject: string;
  version: number;
}

/** A sign of life. */
export interface Taken {
  outcome: "taken";
}

/** A new token of the same driver. */
export interface Token {
  type: "TOKEN";
  token: string;
}

/** A minute before. */
export interface TokenExpiring {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "TOKEN_EXPIRING";
  event: "token_expiring";
  /** ISO-8601, UTC. */
  expires_at: string;
}

/** The connection goes on until then; null: for good. */
export interface TokenTaken {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "TOKEN_TAKEN";
  event: "token_taken";
  expires_at?: string | null;
}

/** Shown this once. */
export interface TrackingLink {
  delivery_id: string;
  tracking_url: string;
  token: string;
  /** ISO-8601, UTC. */
  expires_at: string;
}

/** Those that wait, as `orders`, or by zone, as `zones`, if that was asked for. */
export interface UnassignedOrders {
  next_cursor?: string | null;
  orders?: Record<string, unknown>[] | null;
  zones?: Record<string, unknown>[] | null;
}

/** One version of a subject. */
export interface Version {
  schema: string;
  subject: string;
  version: number;
  id: number;
}

/** What a seller's endpoint is sent, with the headers of Standard Webhooks. */
export interface Webhook {
  type: string;
  /** ISO-8601, UTC. */
  timestamp: string;
  data: WebhookData;
}

/** About one delivery, and nothing about its customer. `sequence` rises within a delivery, with gaps. */
export interface WebhookData {
  event_id?: string | null;
  delivery_id?: string | null;
  seller_id: string;
  seller_order_id?: string | null;
  sequence: number;
  status?: "created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled" | null;
}

/** Why, wanted of ops and admins. */
export interface WhyBody {
  /** Why; wanted of ops and admins. */
  reason?: string;
}

/** One value that is not allowed. */
export interface Wrong {
  field?: string | null;
  seen?: string | null;
  reason: string;
}

/** The zone of a place; `none` outside every zone. */
export interface ZoneAt {
  zone: string;
  version: number;
}

/** A driver's word on a zone; AVAILABLE takes back what was said before. */
export interface ZonePreferenceBody {
  preference: "PREFERRED" | "AVAILABLE" | "UNAVAILABLE";
}

/** By zone. */
export type ZonePreferences = Record<string, unknown>;

/** Drivers are wanted in a zone. */
export interface ZoneRequest {
  /** Its place in the log; `since` begins after it. */
  id?: string | null;
  at?: string | null;
  type: "ZONE_REQUEST";
  event: "zone_request";
  zone_id: string;
  zone: string;
  note: string;
}

/** The map in force. */
export interface ZonesImported {
  version: number;
  zones: number;
}

/** What a driver's socket says. */
export type ToDriver = DeliveryOffered | DeliveryAssigned | OfferEnded | AssignmentEnded | AvailabilityChanged | BreakEndsSoon | BreakExtended | ZoneRequest | Broadcast | Ready | Resync | TokenExpiring | TokenTaken | Pong | Refused;

/** What a driver's app says. */
export type FromDriver = Ping | Location | Ack | Token;

/** Server-sent events of a delivery, by name. */
export interface TrackingEvents {
  delivery_status_updated: StatusUpdated;
  delivery_eta_updated: EtaUpdated;
  delivery_location_updated: LocationUpdated;
  closed: StreamClosed;
}

/** Every door, by its operation id. */
export interface Operations {
  acceptOffer: { method: "POST"; path: "/v2/drivers/{driver_id}/offers/{offer_id}/accept"; parts: { "driver_id": string; "offer_id": string }; body?: OfferAnswer | null; answer: Outcome | Pending };
  assignDriver: { method: "POST"; path: "/v2/admin/assignments/{delivery_id}/assign"; parts: { "delivery_id": string }; body: AssignBody; answer: Outcome | Pending };
  asyncapi: { method: "GET"; path: "/asyncapi.json"; answer: Document };
  auditLogs: { method: "GET"; path: "/v2/admin/audit-logs"; query: { "from"?: string | null; "to"?: string | null; "cursor"?: string | null; "limit"?: number; "delivery_id"?: string | null; "driver_id"?: string | null; "actor"?: string | null; "actor_type"?: "driver" | "system" | "admin" | "customer" | "order_service" | null; "type"?: string[] }; answer: AuditLogs };
  availabilityHistory: { method: "GET"; path: "/v2/admin/drivers/{driver_id}/availability-history"; parts: { "driver_id": string }; query: { "cursor"?: string | null; "limit"?: number }; answer: AvailabilityHistory };
  broadcast: { method: "POST"; path: "/v2/admin/broadcasts"; body: BroadcastBody; answer: BroadcastTaken };
  cancelDelivery: { method: "POST"; path: "/v2/admin/deliveries/{delivery_id}/cancel"; parts: { "delivery_id": string }; body: CancelBody; answer: Outcome | Pending };
  cancelOrder: { method: "POST"; path: "/v2/orders/{seller_id}/{seller_order_id}/cancel"; parts: { "seller_id": string; "seller_order_id": string }; body: CancelBody; answer: Outcome | Pending };
  cancelUnassigned: { method: "POST"; path: "/v2/admin/unassigned-orders/{delivery_id}/cancel"; parts: { "delivery_id": string }; body: ActBody; answer: Outcome | Pending };
  changeEndpoint: { method: "PATCH"; path: "/v2/webhooks/endpoints/{endpoint_id}"; parts: { "endpoint_id": string }; body: EndpointChange; answer: Endpoint };
  changePolicy: { method: "PATCH"; path: "/v2/admin/policy"; body: PolicyChangesBody; answer: PolicyChanged };
  changePrepTime: { method: "POST"; path: "/v2/orders/{seller_id}/{seller_order_id}/prep-time"; parts: { "seller_id": string; "seller_order_id": string }; body: PrepTimeBody; answer: Outcome | Pending };
  checkPolicy: { method: "POST"; path: "/v2/admin/policy/check"; body: PolicyCheckBody; answer: PolicyCheck };
  createEndpoint: { method: "POST"; path: "/v2/webhooks/endpoints"; body: EndpointBody; answer: Endpoint };
  createTrackingLink: { method: "POST"; path: "/v2/deliveries/{delivery_id}/tracking-links"; parts: { "delivery_id": string }; answer: TrackingLink };
  deleteEndpoint: { method: "DELETE"; path: "/v2/webhooks/endpoints/{endpoint_id}"; parts: { "endpoint_id": string }; query: { "reason"?: string }; answer: void };
  deliverAsOperations: { method: "POST"; path: "/v2/admin/deliveries/{delivery_id}/deliver"; parts: { "delivery_id": string }; body: AdminNoteBody; answer: Outcome | Pending };
  driverPerformance: { method: "GET"; path: "/v2/admin/analytics/driver-performance"; query: { "from"?: string | null; "to"?: string | null; "cursor"?: string | null; "limit"?: number; "driver_id"?: string | null; "sort"?: "driver" | "score" }; answer: Performance };
  dropDeadLetter: { method: "POST"; path: "/v2/admin/dead-letters/{letter_id}/drop"; parts: { "letter_id": string }; body: HandleBody; answer: DeadLetterHandled };
  economics: { method: "GET"; path: "/v2/admin/analytics/economics"; query: { "from"?: string | null; "to"?: string | null; "by"?: "zone" | "hour" | "seller" | "driver"; "zone"?: string | null; "seller_id"?: string | null; "limit"?: number }; answer: Economics };
  enableEndpoint: { method: "POST"; path: "/v2/webhooks/endpoints/{endpoint_id}/enable"; parts: { "endpoint_id": string }; body?: EnableBody | null; answer: Endpoint };
  endIncentive: { method: "DELETE"; path: "/v2/admin/incentives/{incentive_id}"; parts: { "incentive_id": string }; query: { "reason": string }; answer: Incentive };
  endShift: { method: "POST"; path: "/v2/drivers/{driver_id}/shift/end"; parts: { "driver_id": string }; body?: EndShiftBody | null; answer: Outcome | Pending };
  endShiftAsAvailability: { method: "POST"; path: "/v2/drivers/{driver_id}/availability/end-shift"; parts: { "driver_id": string }; body?: EndShiftBody | null; answer: Outcome | Pending };
  escalateDelivery: { method: "POST"; path: "/v2/admin/deliveries/{delivery_id}/escalate"; parts: { "delivery_id": string }; body: AdminNoteBody; answer: Outcome | Pending };
  escalateUnassigned: { method: "POST"; path: "/v2/admin/unassigned-orders/{delivery_id}/escalate"; parts: { "delivery_id": string }; body: ActBody; answer: Outcome | Pending };
  extendBreak: { method: "POST"; path: "/v2/drivers/{driver_id}/availability/extend-break"; parts: { "driver_id": string }; body: ExtendBody; answer: Outcome | Pending };
  failDelivery: { method: "POST"; path: "/v2/admin/deliveries/{delivery_id}/fail"; parts: { "delivery_id": string }; body: ReasonBody; answer: Outcome | Pending };
  failDeliveryInHand: { method: "POST"; path: "/v2/drivers/{driver_id}/deliveries/{delivery_id}/fail"; parts: { "driver_id": string; "delivery_id": string }; body: FailBody; answer: Outcome | Pending };
  findDeliveries: { method: "GET"; path: "/v2/admin/deliveries"; query: { "from"?: string | null; "to"?: string | null; "cursor"?: string | null; "limit"?: number; "status"?: ("created" | "searching" | "offered" | "assigned" | "enroute_to_pickup" | "arrived_at_pickup" | "picked_up" | "enroute_to_dropoff" | "arrived_at_dropoff" | "delivered" | "failed" | "returned" | "cancelled")[]; "zone"?: string | null; "seller_id"?: string | null; "driver_id"?: string | null; "needs_manual_review"?: boolean | null; "q"?: string | null }; answer: DeliveryList };
  findDrivers: { method: "GET"; path: "/v2/admin/drivers"; query: { "cursor"?: string | null; "limit"?: number; "state"?: ("AVAILABLE" | "BUSY" | "ON_BREAK" | "SHIFT_ENDED" | "OFFLINE" | "PAUSED")[]; "zone"?: string | null; "prefers_zone"?: string | null }; answer: DriverList };
  flagHistory: { method: "GET"; path: "/v2/admin/flags/history"; query: { "limit"?: number; "flag"?: string }; answer: Changes };
  followByToken: { method: "GET"; path: "/v2/track/{token}/events"; parts: { "token": string }; answer: string | void };
  followDelivery: { method: "GET"; path: "/v2/orders/{delivery_id}/events"; parts: { "delivery_id": string }; answer: string | void };
  getAudit: { method: "GET"; path: "/v2/deliveries/{delivery_id}/audit"; parts: { "delivery_id": string }; answer: Audit };
  getAuditAsOperations: { method: "GET"; path: "/v2/admin/deliveries/{delivery_id}/audit"; parts: { "delivery_id": string }; answer: Audit };
  getDeadLetter: { method: "GET"; path: "/v2/admin/dead-letters/{letter_id}"; parts: { "letter_id": string }; answer: DeadLetter };
  getDelivery: { method: "GET"; path: "/v2/deliveries/{delivery_id}"; parts: { "delivery_id": string }; answer: Delivery };
  getDeliveryInHand: { method: "GET"; path: "/v2/drivers/{driver_id}/deliveries/{delivery_id}"; parts: { "driver_id": string; "delivery_id": string }; answer: InHand };
  getDeliveryLocation: { method: "GET"; path: "/v2/deliveries/{delivery_id}/location"; parts: { "delivery_id": string }; answer: DeliveryLocation };
  getDeliveryStatus: { method: "GET"; path: "/v2/orders/{delivery_id}/delivery-status"; parts: { "delivery_id": string }; answer: DeliveryStatus };
  getDriver: { method: "GET"; path: "/v2/drivers/{driver_id}"; parts: { "driver_id": string }; answer: Driver };
  getEndpoint: { method: "GET"; path: "/v2/webhooks/endpoints/{endpoint_id}"; parts: { "endpoint_id": string }; answer: Endpoint };
  getOrderStatus: { method: "GET"; path: "/v2/orders/{seller_id}/{seller_order_id}/delivery-status"; parts: { "seller_id": string; "seller_order_id": string }; answer: DeliveryStatus };
  getPin: { method: "GET"; path: "/v2/track/{token}/pin"; parts: { "token": string }; answer: Pin };
  getPolicy: { method: "GET"; path: "/v2/admin/policy"; query: { "zone"?: string }; answer: Policy };
  getProof: { method: "GET"; path: "/v2/deliveries/{delivery_id}/proof"; parts: { "delivery_id": string }; answer: Proof };
  getZonePreferences: { method: "GET"; path: "/v2/drivers/{driver_id}/zone-preferences"; parts: { "driver_id": string }; answer: ZonePreferences };
  getZones: { method: "GET"; path: "/v2/zones"; answer: FeatureCollection };
  giveUpDelivery: { method: "POST"; path: "/v2/drivers/{driver_id}/deliveries/{delivery_id}/give-up"; parts: { "driver_id": string; "delivery_id": string }; body: HeldBody; answer: Outcome | Pending };
  health: { method: "GET"; path: "/health"; answer: Health };
  heartbeat: { method: "POST"; path: "/v2/drivers/{driver_id}/heartbeat"; parts: { "driver_id": string }; answer: Taken };
  heartbeatV1: { method: "POST"; path: "/drivers/{driver_id}/heartbeat"; parts: { "driver_id": string }; answer: Taken };
  importZones: { method: "PUT"; path: "/v2/admin/zones"; query: { "reason": string; "empty"?: boolean }; answer: ZonesImported };
  listAttempts: { method: "GET"; path: "/v2/webhooks/endpoints/{endpoint_id}/attempts"; parts: { "endpoint_id": string }; query: { "before"?: number | null; "limit"?: number }; answer: Attempts };
  listDeadLetters: { method: "GET"; path: "/v2/admin/dead-letters"; query: { "from"?: string | null; "to"?: string | null; "cursor"?: string | null; "limit"?: number; "topic"?: string | null; "status"?: "open" | "retried" | "dropped" | null }; answer: DeadLetterList };
  listEndpoints: { method: "GET"; path: "/v2/webhooks/endpoints"; query: { "seller_id"?: string | null }; answer: Endpoints };
  listFlags: { method: "GET"; path: "/v2/admin/flags"; answer: FlagList };
  listIncentives: { method: "GET"; path: "/v2/admin/incentives"; query: { "over"?: boolean }; answer: Incentives };
  listOffers: { method: "GET"; path: "/v2/drivers/{driver_id}/offers"; parts: { "driver_id": string }; query: { "open_only"?: boolean }; answer: Offers };
  listUnassignedOrders: { method: "GET"; path: "/v2/admin/unassigned-orders"; query: { "cursor"?: string | null; "limit"?: number; "zone"?: string | null; "level"?: number | null; "reason"?: "no_available_drivers" | "all_drivers_busy" | "distance_exceeded" | "redis_timeout" | "unknown" | null; "status"?: ("PENDING" | "NOTIFIED" | "REASSIGNED" | "CANCELLED")[]; "min_age_s"?: number | null; "max_age_s"?: number | null; "needs_manual_review"?: boolean | null; "sort"?: "critical" | "oldest" | "newest" | "level"; "group_by"?: "zone" | null; "format"?: "json" | "csv" | null }; answer: UnassignedOrders };
  liveMap: { method: "GET"; path: "/v2/admin/live-map"; query: { "south"?: number; "north"?: number; "west"?: number; "east"?: number; "limit"?: number }; answer: LiveMap };
  metrics: { method: "GET"; path: "/metrics"; answer: string };
  offerNow: { method: "POST"; path: "/v2/deliveries/{delivery_id}/offers"; parts: { "delivery_id": string }; body?: OfferBody | null; answer: Offered | Pending };
  orderReady: { method: "POST"; path: "/v2/orders/ready"; body: OrderBody; answer: Outcome | Pending };
  patchLocation: { method: "PATCH"; path: "/v2/drivers/{driver_id}/location"; parts: { "driver_id": string }; body: LocationBody | LocationBody[]; answer: PingsTaken };
  pauseDriver: { method: "POST"; path: "/v2/admin/drivers/{driver_id}/pause"; parts: { "driver_id": string }; body: PauseBody; answer: Outcome | Pending };
  placeOrder: { method: "POST"; path: "/v2/orders"; body: OrderBody; answer: Outcome | Pending };
  placedOrderReady: { method: "POST"; path: "/v2/orders/{seller_id}/{seller_order_id}/ready"; parts: { "seller_id": string; "seller_order_id": string }; answer: Outcome | Pending };
  policyHistory: { method: "GET"; path: "/v2/admin/policy/history"; query: { "limit"?: number; "before"?: number | null }; answer: PolicyHistory };
  postLocationV1: { method: "POST"; path: "/drivers/{driver_id}/location"; parts: { "driver_id": string }; body: LocationBody | LocationBody[]; answer: PingsTaken };
  putLocation: { method: "PUT"; path: "/v2/drivers/{driver_id}/location"; parts: { "driver_id": string }; body: LocationBody | LocationBody[]; answer: PingsTaken };
  putLocationV1: { method: "PUT"; path: "/drivers/{driver_id}/location"; parts: { "driver_id": string }; body: LocationBody | LocationBody[]; answer: PingsTaken };
  putPolicy: { method: "PUT"; path: "/v2/admin/policy"; body: PolicyBody; answer: PolicyChanged };
  quote: { method: "POST"; path: "/v2/quotes"; body: QuoteBody; answer: Quote };
  ready: { method: "GET"; path: "/ready"; answer: Health };
  reassignDelivery: { method: "POST"; path: "/v2/admin/assignments/{delivery_id}/reassign"; parts: { "delivery_id": string }; body: AdminNoteBody; answer: Outcome | Pending };
  reassignUnassigned: { method: "POST"; path: "/v2/admin/unassigned-orders/{delivery_id}/reassign"; parts: { "delivery_id": string }; body: ReassignBody; answer: Outcome | Pending };
  redeliverMessage: { method: "POST"; path: "/v2/webhooks/messages/{message_id}/redeliver"; parts: { "message_id": string }; body?: WhyBody | null; answer: MessageSent };
  registryBareSchema: { method: "GET"; path: "/schemas/ids/{schema_id}/schema"; parts: { "schema_id": string }; answer: Document };
  registryBareVersion: { method: "GET"; path: "/subjects/{subject}/versions/{version}/schema"; parts: { "subject": string; "version": string }; answer: Document };
  registryConfig: { method: "GET"; path: "/config"; query: { "subject"?: string }; answer: Compatibility };
  registryLookUp: { method: "POST"; path: "/subjects/{subject}"; parts: { "subject": string }; answer: Version };
  registryMode: { method: "GET"; path: "/mode"; answer: Mode };
  registrySchema: { method: "GET"; path: "/schemas/ids/{schema_id}"; parts: { "schema_id": string }; answer: SchemaText };
  registrySchemaTypes: { method: "GET"; path: "/schemas/types"; answer: string[] };
  registrySubjectConfig: { method: "GET"; path: "/config/{subject}"; parts: { "subject": string }; answer: Compatibility };
  registrySubjects: { method: "GET"; path: "/subjects"; answer: string[] };
  registrySubjectsOfId: { method: "GET"; path: "/schemas/ids/{schema_id}/subjects"; parts: { "schema_id": string }; answer: string[] };
  registryVersion: { method: "GET"; path: "/subjects/{subject}/versions/{version}"; parts: { "subject": string; "version": string }; answer: Version };
  registryVersions: { method: "GET"; path: "/subjects/{subject}/versions"; parts: { "subject": string }; answer: number[] };
  registryVersionsOfId: { method: "GET"; path: "/schemas/ids/{schema_id}/versions"; parts: { "schema_id": string }; answer: SubjectVersion[] };
  rejectOffer: { method: "POST"; path: "/v2/drivers/{driver_id}/offers/{offer_id}/reject"; parts: { "driver_id": string; "offer_id": string }; body: RejectBody; answer: Outcome | Pending };
  reportProgress: { method: "POST"; path: "/v2/drivers/{driver_id}/deliveries/{delivery_id}/progress"; parts: { "driver_id": string; "delivery_id": string }; body: ProgressBody; answer: Outcome | Pending };
  requestDrivers: { method: "POST"; path: "/v2/admin/zones/{zone}/request-drivers"; parts: { "zone": string }; body: RequestDriversBody; answer: DriversRequested };
  resumeWork: { method: "POST"; path: "/v2/drivers/{driver_id}/availability/resume"; parts: { "driver_id": string }; answer: Outcome | Pending };
  retryDeadLetter: { method: "POST"; path: "/v2/admin/dead-letters/{letter_id}/retry"; parts: { "letter_id": string }; body: HandleBody; answer: DeadLetterHandled };
  returnDelivery: { method: "POST"; path: "/v2/admin/deliveries/{delivery_id}/return"; parts: { "delivery_id": string }; body: AdminNoteBody; answer: Outcome | Pending };
  returnDeliveryInHand: { method: "POST"; path: "/v2/drivers/{driver_id}/deliveries/{delivery_id}/return"; parts: { "driver_id": string; "delivery_id": string }; body: HeldBody; answer: Outcome | Pending };
  revokeTrackingLinks: { method: "DELETE"; path: "/v2/deliveries/{delivery_id}/tracking-links"; parts: { "delivery_id": string }; answer: LinksRevoked };
  rotateSecret: { method: "POST"; path: "/v2/webhooks/endpoints/{endpoint_id}/rotate-secret"; parts: { "endpoint_id": string }; body?: WhyBody | null; answer: Endpoint };
  sellerOrderReady: { method: "POST"; path: "/events/seller-order-ready"; body: OrderBody; answer: FirstAnswer | Pending };
  serviceability: { method: "POST"; path: "/v2/serviceability"; body: ServiceabilityBody; answer: Serviceability };
  setFlag: { method: "PUT"; path: "/v2/admin/flags/{name}"; parts: { "name": string }; body: FlagBody; answer: Flag };
  setIncentive: { method: "POST"; path: "/v2/admin/incentives"; body: IncentiveBody; answer: Incentive };
  setZonePreference: { method: "PUT"; path: "/v2/drivers/{driver_id}/zone-preferences/{zone}"; parts: { "driver_id": string; "zone": string }; body: ZonePreferenceBody; answer: Outcome | Pending };
  signOn: { method: "POST"; path: "/v2/drivers/{driver_id}/sign-on"; parts: { "driver_id": string }; body: SignOnBody; answer: Outcome | Pending };
  startShift: { method: "POST"; path: "/v2/drivers/{driver_id}/shift/start"; parts: { "driver_id": string }; answer: Outcome | Pending };
  takeBreak: { method: "POST"; path: "/v2/drivers/{driver_id}/availability/take-break"; parts: { "driver_id": string }; body: BreakBody; answer: Outcome | Pending };
  tellDelivery: { method: "GET"; path: "/v2/admin/deliveries/{delivery_id}/story"; parts: { "delivery_id": string }; answer: Story };
  testEndpoint: { method: "POST"; path: "/v2/webhooks/endpoints/{endpoint_id}/test"; parts: { "endpoint_id": string }; answer: MessageSent };
  track: { method: "GET"; path: "/v2/track/{token}"; parts: { "token": string }; answer: DeliveryStatus };
  unpauseDriver: { method: "POST"; path: "/v2/admin/drivers/{driver_id}/unpause"; parts: { "driver_id": string }; body: ReasonBody; answer: Outcome | Pending };
  watchOperations: { method: "GET"; path: "/v2/admin/events"; query: { "zone"?: string[]; "locations"?: boolean }; answer: string | void };
  zoneAt: { method: "GET"; path: "/v2/zones/at"; query: { "lat": number; "lng": number }; answer: ZoneAt };
  zoneHealth: { method: "GET"; path: "/v2/admin/analytics/zone-health"; query: { "from"?: string | null; "to"?: string | null; "zone"?: string | null; "step_s"?: "60" | "300" | "900" | "3600" | "86400" }; answer: Series };
}
