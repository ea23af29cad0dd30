"""What a scenario says of a stack whose metrics are fitted: record size, slots, trigger and bulks are in no metric."""

from __future__ import annotations

from calibration.lab import EXPORTED, Experiment
from models.stack import Scenario
from planner.refusal import ScenarioError


def settings_of(scenario: Scenario) -> Experiment:
    """The settings as a recording would state them. Raises ScenarioError for several flows: metrics mix them."""
    if len(scenario.flows) > 1:
        names = ", ".join(flow.name for flow in scenario.flows)
        raise ScenarioError(f"flows = {names}; expected one: a node's CPU is not told by flow, so fit one at a time")
    flow = scenario.flows[0]
    sink, state = flow.query.sink, flow.query.state
    return Experiment(
        name=scenario.name,
        kind="pipe",
        record_bytes=flow.workload.value_bytes,
        partitions=flow.topic.partitions,
        plan=(),
        warm_seconds=0.0,
        warm_rate=0.0,
        trigger_seconds=max(flow.query.trigger, 0.0),
        cores=scenario.spark.executors * scenario.spark.cores,
        sink="noop" if sink.kind == "noop" else "bulk",
        bulk_documents=int(min(sink.bulk_entries, sink.bulk_bytes // flow.workload.json_bytes)) or 1,
        clients=0,
        state_partitions=state.shuffle_partitions if state else 0,
        set=EXPORTED,
        stack=scenario,
        max_offsets=flow.query.max_offsets_per_trigger or 0,
        writers=sink.writers_per_task,
        brokers=scenario.kafka.brokers,
        copies=flow.topic.copies,
        tls=scenario.kafka.tls,
        nodes=scenario.elasticsearch.data_nodes,
        replicas=flow.index.copies - 1,
        refresh_seconds=flow.index.refresh_interval,
        codec=flow.index.codec,
        sink_kind="python" if sink.kind == "python-foreach" else "jvm",
    )
