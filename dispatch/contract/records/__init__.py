"""Generated from schemas/* by dispatch.contract.generate. Do not edit."""
