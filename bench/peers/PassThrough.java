import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The peer on Kafka Streams, exactly_once_v2, one thread: each command gives two records and a changed store entry. */
public class PassThrough {
    static byte[] twice(byte[] value) {
        byte[] both = new byte[value.length * 2];
        System.arraycopy(value, 0, both, 0, value.length);
        System.arraycopy(value, 0, both, value.length, value.length);
        return both;
    }

    static class Passes implements Processor<byte[], byte[], byte[], byte[]> {
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<byte[], byte[]> states;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            this.states = context.getStateStore("states");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            byte[] both = twice(record.value());
            states.put(record.key(), both);
            context.forward(record.withTimestamp(System.currentTimeMillis()), "events");
            context.forward(record.withValue(both).withTimestamp(System.currentTimeMillis()), "decisions");
        }
    }

    public static void main(String[] given) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given[4]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, given[5]);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        Topology topology = new Topology();
        topology.addSource("commands", given[1]);
        topology.addProcessor("passes", Passes::new, "commands");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("states"), Serdes.ByteArray(), Serdes.ByteArray()),
            "passes");
        topology.addSink("events", given[2], "passes");
        topology.addSink("decisions", given[3], "passes");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Thread.currentThread().join();
    }
}
