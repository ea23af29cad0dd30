"""The data plane, compiled: everything that moves between two decisions of the control plane.

One event list, one clock. CPU is work in CPU-seconds, served by processor sharing on each host: a
job of weight w (w threads) gets w × speed × min(1, cores / all weights). Task slots, write threads
and request handlers are permits: a job that has none waits in line and burns nothing. The unit of
work is a producer batch, a piece of a task, a node's share of a bulk, a refresh, a merge; never a
record. Latency is the horizontal distance between two curves, kept as ramps in a histogram.

`advance(I, F, until)` runs to `until` or to the first thing the control plane must know of, and may
be called again: it is `env.run(until)` compiled. `reference.py` tells the same story in SimPy, event
by event, with the same dice.

All tables live in two flat arrays, I (integers) and F (floats), because numba passes every array of a
struct by value and a hundred of them cost more than the work (measured: 22 µs an event as a tuple of
arrays). `TABLES` names them; `I[row(I, TASK_FLOW, t)]` is task t's flow, `F[cube(I, JOB_FLOAT, h, k, V)]` the k-th
job's virtual finish on host h. `memory.py` lays them out and gives Python named views.

All compiled code lives in this one file: numba's cache does not see an inlined function change in
another (engine.md B2). Python calls the doors at its end. No globals are written, nothing is allocated
in loops. Most tables have a size proven from slots and threads; the few that a run may outgrow ask for
more (`GROW`) one event early.
"""

from __future__ import annotations

import math

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic

# What is handed from function to function is a typed number (`int64`): numba would compile a function anew for each
# plain literal that it is called with.
# events
HOST_PAUSE, HOST_RESUME, TASK_READY, TASK_FETCHED, TASK_WAITED, BULK_ARRIVES, BULK_ANSWERED = map(np.int64, range(7))
REFRESH_DUE, BATCH_CLOSES, LINK_ARRIVES, LINK_ACKED, SHARE_EXPIRES = map(np.int64, range(7, 12))
# jobs, done: the first of a host's jobs is an event too, and has the form of one
PIECE, COORDINATE, PRIMARY, REPLICA, REFRESH, MERGE, DRIVER, APPEND, SERVE, FOLLOW = map(np.int64, range(12, 22))
NONE = np.int64(0)  # nothing to say: no second subject, no permits held, no interval that waits for a refresh
TICKING = np.int64(1)  # a refresh whose end starts the next interval
AT, ABOVE = np.int64(0), np.int64(1)  # whether a count is to reach an offset or to exceed it
# streams of dice
DICE_PAUSE_GAP, DICE_PAUSE, DICE_SHARE, DICE_WAIT, DICE_PHASE, DICE_ARRIVALS, DICE_GAP, DICE_COUNT, DICE_STICKY = range(
    9
)
DICE_TASK, DICE_BATCH, DICE_RUN, DICE_COMMIT, DICE_SIZE = range(9, 14)
# what advance() returns
REACHED, DONE, GROW = range(3)
# what it tells the control plane
DONE_DRIVER, DONE_STAGE, DONE_FAILED = range(3)
# where a task is, whose a bulk is, and where that is
FREE, WAITING, RUNNING, STRANDED, OVER, ORPHAN = range(6)
NOBODYS, ALIVE, GHOST, VOID = range(
    4
)  # a ghost's client is gone: servers finish it, nobody hears; a void one never left
UNDER_WAY, COORDINATED, SPLIT, ANSWERED = range(4)
BLOCK_RETRIED, BLOCK_FATAL = 1, 2  # what a blocked index answers: 429 for each item, or 403
# what Python asks compiled code to do
(
    ACT_ADVANCE,
    ACT_DRIVER_JOB,
    ACT_SET_CORES,
    ACT_SET_SPEED,
    ACT_LOOK,
    ACT_PUSH,
    ACT_OPEN_BATCH,
    ACT_ADD_JOB,
    ACT_DROP_JOB,
    ACT_SEND,
    ACT_ASK_THREADS,
    ACT_QUEUE_SHARE,
    ACT_RELEASE,
    ACT_SHARE_OVER,
    ACT_FREE_BULK,
    ACT_END_STAGE,
    ACT_FIRST_IN_LINE,
    ACT_NEXT_TASK,
    ACT_UNBLOCK,
) = range(19)
# scalars at the head of I, then of F
N_EVENTS, SEQUENCE, N_DONE, N_READY, READY_HEAD, FREE_TASKS, FREE_BULKS, EVENTS_SEEN, GROW_WHAT, N_LOG = range(10)
SEED, EXACT_FRONT, DRIVER_HOST, GROUPS_ARE_NODES, N_STALE, FIRST_HOST, POST_HEAD, N_POST = range(10, 18)
NOW, WINDOW_FROM, WINDOW_UNTIL, FINE_WIDTH, COARSE_WIDTH, LAST_POSTED = range(6)
GROW_PENDING, GROW_CURVE = 1, 2
# columns of the flow counters
PRODUCED, COMMITTED, CUT, INDEXED, VISIBLE, REJECTED, DUPLICATED, LOST = range(8)
# columns of an event, of a letter in the post, and of a job
KEY, KIND, A, B, HELD = map(np.int64, range(5))
V, WEIGHT = map(np.int64, range(2))
# and of a producer batch: in its partition's line its records, in the log all records up to and with it; when its first
# record came, when it closed, how long its producer had been blocked then; when the high watermark passed it
TOTAL, OPENED, CLOSED, STOOD, PASSED = map(np.int64, range(5))
FIRST = np.int64(0)  # place of a heap, or of a curve, that all others follow
ROLE_BITS, ROLE_MASK = 20, (1 << 20) - 1  # a share's node and role in one number; role: g, or replica of it: G + g
MOST_TASK_ATTEMPTS = 4  # spark.task.maxFailures, spark.md B2
ACKS_ALL = 2
MERGE_AFTER = 10  # segments that gather before a merge: index.merge.policy.segments_per_tier
FINE_BINS, COARSE_BINS = 65536, 8192
WRITE_QUEUE = 10_000  # models/elasticsearch.py; a literal here because compiled code reads no other file
PRIMARY_TIMEOUT = 60.0  # s that a share waits for a primary to come back before it is answered 503: models/faults.py


# The tables: name, integers or floats, dimensions. H hosts, E executors, N data nodes, F flows, B brokers,
# P partitions, S streams of producer batches, K links from leader to follower, G groups of shards whose primaries share
# a node (with faults of data nodes: whose copies lie on the same nodes, so that they move together).
TABLES = (
    ("host_cores", "f", 1),  # [H] threads' worth of capacity left to the model
    ("host_speed", "f", 1),  # [H] reference CPU seconds that one thread alone does in a second
    ("pause_rate", "f", 1),  # [H] stop-the-world pauses per reference CPU second
    ("pause_mean", "f", 1),  # [H] mean pause [s]
    ("exec_host", "i", 1),  # [E]
    ("node_host", "i", 1),  # [N]
    ("warm_amplitude", "f", 1),  # [N] A of a data node's warm-up; 0: warm from the start
    ("warm_work", "f", 1),  # [N] w0
    ("node_idle", "f", 1),  # [N] CPU a second that it spends beside indexing (idling, searches): it warms by that too
    ("node_work", "f", 1),  # [N] CPU of indexing since its JVM started
    ("node_threads", "i", 1),  # [N] write pool
    ("node_limit", "f", 1),  # [N] bytes of bulks in flight that a node takes
    ("refresh_threads", "i", 1),  # [N]
    ("merge_rate", "f", 1),  # [N] bytes/s that merges may move
    ("primary_share", "f", 2),  # [F, G] share of documents that belong to a group of shards
    ("primary_threads", "i", 2),  # [F, G] threads that share can use (its shards, less for a hot one)
    ("primary_node", "i", 2),  # [F, G] the node that its primaries are on
    ("replica_share", "f", 3),  # [F, G, N] of a group's documents, the share replicated to a node
    ("replica_threads", "i", 3),  # [F, G, N]
    ("node_down", "i", 1),  # [N] 1: dead, what is asked of it waits
    ("index_block", "i", 1),  # [F] 0 none, else what the index answers
    ("connect_fatal", "i", 1),  # [F] 1: a task fails where no node can be reached, 0: its client tries again
    ("shards_on", "i", 2),  # [F, N] copies of shards on a node
    ("document_cpu", "f", 1),  # [F] CPU of a document on its primary
    ("replica_cpu", "f", 1),  # [F] of one on a replica
    ("replica_fresh", "f", 1),  # [F] 1: replicas index and refresh, 0: they copy segments
    ("bulk_cpu", "f", 1),  # [F] CPU of a bulk on the node that coordinates it
    ("bulk_wait", "f", 1),  # [F] time of a bulk that is not CPU
    ("half_trip", "f", 1),  # [F] one way between executor and node
    ("share_sigma", "f", 1),  # [F] noise of a node's share of a bulk
    ("bulk_most", "f", 1),  # [F] documents of a full bulk
    ("bulk_documents", "f", 1),  # [bulk]
    ("document_bytes", "f", 1),  # [F]
    ("documents_per_record", "f", 1),  # [F] that the filter kept
    ("refresh_fixed_rate", "i", 1),  # [F] 1: the interval counts from a refresh's start, 0: from its end
    ("refresh_interval", "f", 1),  # [F]
    ("refresh_cpu", "f", 1),  # [F] of one shard
    ("refresh_document_cpu", "f", 1),  # [F]
    ("merge_document_cpu", "f", 1),  # [F]
    ("merge_document_bytes", "f", 1),  # [F]
    ("retry_attempts", "i", 1),  # [F]
    ("retry_wait", "f", 1),  # [F]
    ("retry_multiplier", "f", 1),  # [F]
    ("retry_longest", "f", 1),  # [F] longest sleep between tries
    ("refresh_per_write", "i", 1),  # [F]
    ("writers", "i", 1),  # [F] bulks a task keeps in flight
    ("automatic_ids", "f", 1),  # [F]
    ("partition_flow", "i", 1),  # [P]
    ("partition_base", "i", 1),  # [F + 1]
    ("partition_leader", "i", 1),  # [P] broker
    ("broker_host", "i", 1),  # [B]
    ("broker_threads", "i", 1),  # [B]
    ("stream_flow", "i", 1),  # [S]
    ("stream_partition", "i", 1),  # [S]; -1: sticks to one partition a batch
    ("stream_share", "f", 1),  # [S] of the flow's records
    ("partition_shares", "f", 1),  # [P] cumulative within the flow
    ("poisson_share", "f", 1),  # [F] of producer batches that arrive as Poisson's; the others' records come evenly
    ("rate_at", "f", 2),  # [F, K] times
    ("rate", "f", 2),  # [F, K] records/s from then on
    ("linger", "f", 1),  # [F]
    ("most_records", "f", 1),  # [F] of a producer batch
    ("wire_bytes", "f", 1),  # [F] of a record
    ("request_cpu", "f", 1),  # [F] request and batch together
    ("append_byte_cpu", "f", 1),  # [F]
    ("append_wait", "f", 1),  # [F]
    ("serve_cpu", "f", 1),  # [F]
    ("serve_byte_cpu", "f", 1),  # [F]
    ("follow_cpu", "f", 1),  # [F] of one batch
    ("follow_byte_cpu", "f", 1),  # [F]
    ("front_trip", "f", 1),  # [F] one way between producer or follower and leader
    ("acks", "i", 1),  # [F] 0 none, 1 the leader's, 2 all in-sync copies
    ("buffer_bytes", "f", 1),  # [F] all producers' buffer.memory
    ("link_from", "i", 1),  # [K] broker
    ("link_to", "i", 1),  # [K]
    ("link_start", "i", 1),  # [K + 1] into link_partition
    ("link_partition", "i", 1),
    ("link_copy", "i", 1),  # which follower of that partition, 0 ..
    ("leader_start", "i", 1),  # [P + 1] into leader_link: links a partition feeds
    ("leader_link", "i", 1),
    ("event_time", "f", 1),  # a heap
    ("event", "i", 2),  # [events, 4] key (sequence: deterministic ties), kind, a, b
    ("post_time", "f", 1),  # a ring: what arrives after a delay that is the same for all comes in the order it left
    ("post", "i", 2),  # [post, 4]
    ("host_time", "f", 1),  # [H] when v was brought up to date
    ("host_v", "f", 1),  # [H] virtual time: reference CPU seconds each thread has got
    ("host_work", "f", 1),  # [H] reference CPU seconds done
    ("host_busy", "f", 1),  # [H] thread-seconds busy
    ("host_weight", "f", 1),  # [H] threads wanting a core
    ("host_share", "f", 1),  # [H] reference CPU seconds a second that each of them gets
    ("host_paused", "i", 1),  # [H]
    ("host_pauses", "i", 1),  # [H] pauses so far
    ("pause_at", "f", 1),  # [H] work at which the next pause comes
    ("host_next", "f", 1),  # [H] time of its next event
    ("host_next_key", "i", 1),  # [H]
    ("host_next_is_pause", "i", 1),  # [H]
    ("pause_event", "i", 2),  # [H, 4] its next pause in the form of an event: key, kind, a, b
    ("host_stale", "i", 1),  # [H] 1: its next event is to be found before time goes on
    ("stale", "i", 1),  # those hosts
    ("host_jobs", "i", 1),  # [H] jobs
    ("job_float", "f", 3),  # [H, J, 2] virtual finish, weight: a heap of each host
    ("job", "i", 3),  # [H, J, 5] key, kind, a, b, permits held
    ("exec_free", "i", 1),  # [E]
    ("exec_amplitude", "f", 1),  # [E] A of the warm-up of an executor that replaced a lost one; 0: as its query
    ("exec_warm_work", "f", 1),  # [E] w0
    ("exec_work", "f", 1),  # [E] CPU since it started
    ("slot_seconds", "f", 1),  # [E] task slots held, summed over finished tasks
    ("write_seconds", "f", 1),  # [N] write threads held, integrated
    ("write_seen", "f", 1),  # [N]
    ("ready", "i", 1),  # ring of tasks that wait for a slot
    ("task_flow", "i", 1),
    ("task_batch", "i", 1),
    ("task_number", "i", 1),  # within its stage: the address of its dice
    ("task_partition", "i", 1),
    ("task_from", "f", 1),  # offsets
    ("task_to", "f", 1),
    ("task_documents", "f", 1),
    ("task_bulks", "i", 1),
    ("task_next", "i", 1),
    ("task_flight", "i", 1),
    ("task_setup", "f", 1),  # CPU
    ("task_document_cpu", "f", 1),
    ("task_bulk_cpu", "f", 1),
    ("task_weight", "f", 1),
    ("task_fetch", "f", 1),  # wait before
    ("task_tail", "f", 1),  # wait after
    ("task_c0", "f", 1),  # creation times, for tasks that read no partition
    ("task_c1", "f", 1),
    ("task_exec", "i", 1),
    ("task_attempt", "i", 1),
    ("task_failed", "i", 1),
    ("task_piece", "i", 1),  # 1 while a piece of it is on a core
    ("task_started", "f", 1),
    ("task_sink_wait", "f", 1),
    ("task_bits", "i", 3),  # [T, G, W] bulks already indexed by a group of shards
    ("task_state", "i", 1),
    ("task_epoch", "i", 1),  # grows when what is under way for a task becomes void
    ("task_ghosts", "i", 1),  # bulks of it that nobody waits for
    ("stage_row", "i", 2),  # [F, T] rows of the running stage's tasks, by number
    ("stage_tasks", "i", 1),  # [F]
    ("task_free", "i", 1),
    ("stage_left", "i", 1),  # [F] tasks of the running stage
    ("stage_cut", "f", 1),  # [F] when its offsets were cut
    ("stage_sink_wait", "f", 1),  # [F]
    ("bulk_task", "i", 1),
    ("bulk_index", "i", 1),
    ("bulk_share", "f", 1),  # [bulk] of its records, those created in the window
    ("task_share", "f", 1),  # the same of a task that reads no partition
    ("bulk_c0", "f", 1),  # [bulk] when its first record was created
    ("bulk_c1", "f", 1),  # [bulk] its last
    ("task_point", "i", 1),  # where on its partition's creation curve the task's last bulk ended
    ("bulk_node", "i", 1),
    ("bulk_state", "i", 1),
    ("bulk_place", "i", 1),
    ("bulk_key", "i", 1),  # in which order they were sent
    ("bulk_leaves", "f", 1),  # when it leaves its client
    ("bulk_fatal", "i", 1),  # 1: sending it again would not help
    ("bulk_left", "i", 1),  # groups not yet done
    ("bulk_attempt", "i", 1),
    ("bulk_sent", "f", 1),
    ("bulk_todo", "i", 2),  # [Bk, G]
    ("bulk_bytes", "f", 1),
    ("bulk_free", "i", 1),
    ("node_free", "i", 1),  # [N] write threads
    ("node_bytes", "f", 1),  # [N] in flight
    ("node_queue", "i", 2),  # [N, Q] bulk and role in one number
    ("queue_head", "i", 1),  # [N]
    ("queue_length", "i", 1),  # [N]
    ("queue_ops", "i", 1),  # [N]
    ("fresh", "f", 2),  # [F, N] documents indexed since the last refresh
    ("refreshing", "i", 2),  # [F, N]
    ("refresh_mark", "i", 2),  # [F, N] pending entries the running refresh will show
    ("refresh_documents", "f", 2),  # [F, N]
    ("merging", "i", 1),  # [N]
    ("merge_debt", "f", 1),  # [N] CPU
    ("merge_bytes", "f", 1),  # [N]
    ("merge_flush", "f", 1),  # [N] CPU of the last segment, the yardstick
    ("pend_head", "i", 2),  # [F, N]
    ("pend_length", "i", 2),  # [F, N]
    ("pend_c0", "f", 3),  # [F, N, C]
    ("pend_c1", "f", 3),
    ("pend_in_window", "f", 3),
    ("pend_mass", "f", 3),
    ("pend_time", "f", 3),
    ("pend_cut", "f", 3),
    ("curve_time", "f", 2),  # [P, G] creation curve
    ("curve_count", "f", 2),  # [P, G]
    ("curve_length", "i", 1),  # [P]
    ("slope", "f", 2),  # [F, bins] fine, then coarse
    ("step", "f", 2),
    ("hops", "f", 2),  # [F, 6] mass, created→cut .. sums
    ("counts", "f", 2),  # [F, 8]
    ("task_log", "f", 2),  # [M, 6] flow, batch, partition, executor, started, finished: the first M tasks
    ("done_kind", "i", 1),
    ("done_a", "i", 1),
    ("stream_clock", "f", 1),  # [S] arrival clock
    ("stream_k", "i", 1),  # [S]
    ("stream_n", "f", 1),  # [S] records of the batch that closes next
    ("stream_first", "f", 1),  # [S]
    ("stream_part", "i", 1),  # [S]
    ("blocked", "i", 2),  # ring of streams
    ("blocked_n", "i", 1),  # [F] blocked streams of a flow
    ("unsent_batches", "i", 1),  # [F]
    ("unsent", "f", 1),  # [F] bytes
    ("part_line", "f", 3),  # [P, Q, 4] producer batches that wait, a ring
    ("part_head", "i", 1),  # [P]
    ("part_length", "i", 1),  # [P]
    ("part_busy", "i", 1),  # [P]
    ("broker_free", "i", 1),  # [B]
    ("broker_queue", "i", 2),  # [B, P] partitions waiting for a handler
    ("broker_head", "i", 1),
    ("broker_length", "i", 1),
    ("log_count", "i", 1),  # [P] batches appended
    ("log_end", "f", 1),  # [P] records appended
    ("log", "f", 3),  # [P, G, 5] producer batches in their leader's log
    ("fetched", "i", 2),  # [P, R] batches fetched by a follower
    ("acked", "i", 2),  # [P, R]
    ("commit_count", "i", 1),  # [P]
    ("link_busy", "i", 1),  # [K]
    ("link_news", "i", 1),  # [K] batches that its leader has logged since the last fetch
    ("link_upto", "i", 1),  # [entries] batches in the fetch under way
    ("publish_slope", "f", 2),  # [F, bins]
    ("publish_step", "f", 2),
    ("link_work", "f", 1),  # [K] CPU of the append at the follower
)
HEAD = 64  # scalars before the first descriptor
DESCRIPTOR = 5  # where a table starts, the lengths of its first and second stride, its first and second length
SECOND = 4
if clash := [name for name, _, _ in TABLES if name.upper() in globals()]:
    raise ImportError(f"tables named like constants: {clash}")
globals().update({name.upper(): np.int64(HEAD + DESCRIPTOR * n) for n, (name, _, _) in enumerate(TABLES)})


# Every divisor here is > 0: no tests for division by zero. `compiled` may be called from Python; `inner` only from
# compiled code, to which I and F are bare addresses: an array costs a locked count up and down at every call.
compiled = njit(cache=True, error_model="numpy", forceinline=False)
inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=False)
within = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)  # one caller
WATCHED = bool(config.DISABLE_JIT or config.BOUNDSCHECK)  # arrays stay arrays: their indices are watched


@intrinsic
def _address(typingctx, array):
    """Where an array's first entry lies."""

    def code(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), code


@intrinsic
def _fixed(typingctx, entries, at):
    """entries[at], which no compiled code changes: once read, LLVM may keep it."""

    def code(context, builder, signature, args):
        first = args[0]
        if isinstance(signature.args[0], types.Array):
            first = context.make_array(signature.args[0])(context, builder, first).data
        found = builder.load(builder.gep(first, [args[1]]))
        found.set_metadata("invariant.load", builder.module.add_metadata([]))
        return found

    return entries.dtype(entries, types.intp), code


@compiled
def _as_it_is(array):
    return array


@compiled
def _entry(entries, at):
    return entries[at]


bare, fixed = (_as_it_is, _entry) if WATCHED else (_address, _fixed)


@compiled
def row(I, table, a):
    """Where entry a of a table lies."""
    return fixed(I, table) + a


@compiled
def cell(I, table, a, b):
    return fixed(I, table) + a * fixed(I, table + 1) + b


@compiled
def cube(I, table, a, b, c):
    return fixed(I, table) + a * fixed(I, table + 1) + b * fixed(I, table + 2) + c


@compiled
def _wrapped(at, length):
    """A place in a ring: `at` is less than twice its length, and a division would cost more than all the rest."""
    return at if at < length else at - length


# ---------------------------------------------------------------- dice: addressed, never sequential


@compiled
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def uniform(seed, stream, a, b, c):
    """A number in (0, 1) that belongs to this address and no other (splitmix64)."""
    z = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream + 1) * np.uint64(0xD1B54A32D192ED03)
    z = _mix(z + np.uint64(a + 1) * np.uint64(0x8CB92BA72F3D8DD7))
    z = _mix(z + np.uint64(b + 1) * np.uint64(0xABC98388FB8FAC03))
    z = _mix(z + np.uint64(c + 1) * np.uint64(0xDA942042E4DD58B5))
    return (np.float64(z >> np.uint64(11)) + 0.5) * 1.1102230246251565e-16


def _uniform_without_compiler(seed, stream, a, b, c):
    """`uniform` in Python's own integers: numpy's would warn at every wrap-around."""
    all_bits = 0xFFFFFFFFFFFFFFFF

    def mix(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & all_bits
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & all_bits
        return z ^ (z >> 31)

    z = int(seed) * 0x9E3779B97F4A7C15 + int(stream + 1) * 0xD1B54A32D192ED03
    z = mix((z + int(a + 1) * 0x8CB92BA72F3D8DD7) & all_bits)
    z = mix((z + int(b + 1) * 0xABC98388FB8FAC03) & all_bits)
    z = mix((z + int(c + 1) * 0xDA942042E4DD58B5) & all_bits)
    return ((z >> 11) + 0.5) * 1.1102230246251565e-16


if config.DISABLE_JIT:
    uniform = _uniform_without_compiler


@compiled
def normal(seed, stream, a, b, c):
    """A standard normal number of that address (Acklam's inverse, relative error 1.2e-9)."""
    p = uniform(seed, stream, a, b, c)
    if p < 0.02425 or p > 0.97575:
        q = math.sqrt(-2.0 * math.log(p if p < 0.5 else 1.0 - p))
        x = (
            (
                (((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q
                + 4.374664141464968
            )
            * q
            + 2.938163982698783
        ) / (
            (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q
            + 1.0
        )
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    return (
        (
            (
                (((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.3577518672690) * r
                - 30.66479806614716
            )
            * r
            + 2.506628277459239
        )
        * q
    ) / (
        (
            (((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r
            - 13.28068155288572
        )
        * r
        + 1.0
    )


@compiled
def lognormal(sigma, seed, stream, a, b, c):
    """A factor of mean 1 and log standard deviation sigma."""
    if sigma <= 0.0:
        return 1.0
    return math.exp(sigma * normal(seed, stream, a, b, c) - 0.5 * sigma * sigma)


@compiled
def exponential(seed, stream, a, b, c):
    return -math.log(uniform(seed, stream, a, b, c))


@compiled
def poisson(mean, seed, stream, a, b, c):
    """A Poisson count: by inversion to a mean of 30, beyond it by the normal with continuity correction."""
    if mean <= 0.0:
        return 0.0
    if mean > 30.0:
        return max(0.0, math.floor(mean + math.sqrt(mean) * normal(seed, stream, a, b, c) + 0.5))
    u = uniform(seed, stream, a, b, c)
    term = math.exp(-mean)
    total = term
    k = 0.0
    while u > total and k < 400.0:
        k += 1.0
        term *= mean / k
        total += term
    return k


# ---------------------------------------------------------------- event list


@inner
def _write(I, at, key, kind, a, b):
    I[at + KEY] = key
    I[at + KIND] = kind
    I[at + A] = a
    I[at + B] = b


@inner
def _push(I, F, time, kind, a, b):
    n = I[N_EVENTS]
    key = I[SEQUENCE]
    I[SEQUENCE] = key + 1
    I[N_EVENTS] = n + 1
    while n > 0:
        up = (n - 1) >> 1
        before = F[row(I, EVENT_TIME, up)]
        at = cell(I, EVENT, up, KEY)
        if before < time or (before == time and I[at] < key):
            break
        F[row(I, EVENT_TIME, n)] = before
        _write(I, cell(I, EVENT, n, KEY), I[at + KEY], I[at + KIND], I[at + A], I[at + B])
        n = up
    F[row(I, EVENT_TIME, n)] = time
    _write(I, cell(I, EVENT, n, KEY), key, kind, a, b)


@inner
def _pop(I, F):
    """Take the first event off the heap: the last takes its place and sinks."""
    n = I[N_EVENTS] - 1
    I[N_EVENTS] = n
    time = F[row(I, EVENT_TIME, n)]
    last = cell(I, EVENT, n, KEY)
    key, kind, a, b = I[last + KEY], I[last + KIND], I[last + A], I[last + B]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= n:
            break
        at = cell(I, EVENT, child, KEY)
        first = F[row(I, EVENT_TIME, child)]
        if child + 1 < n:
            right, other = cell(I, EVENT, child + 1, KEY), F[row(I, EVENT_TIME, child + 1)]
            if other < first or (other == first and I[right + KEY] < I[at + KEY]):
                child, at, first = child + 1, right, other
        if first > time or (first == time and I[at + KEY] > key):
            break
        F[row(I, EVENT_TIME, k)] = first
        _write(I, cell(I, EVENT, k, KEY), I[at + KEY], I[at + KIND], I[at + A], I[at + B])
        k = child
    F[row(I, EVENT_TIME, k)] = time if n > 0 else math.inf
    _write(I, cell(I, EVENT, k, KEY), key, kind, a, b)


@inner
def _post(I, F, time, kind, a, b):
    """An event that mostly comes after all that were posted before it: a ring needs no sorting. Else it is pushed."""
    if time < F[LAST_POSTED] or I[N_POST] == fixed(I, POST_TIME + 3):
        _push(I, F, time, kind, a, b)
        return
    F[LAST_POSTED] = time
    at = _wrapped(I[POST_HEAD] + I[N_POST], fixed(I, POST_TIME + 3))
    I[N_POST] += 1
    F[row(I, POST_TIME, at)] = time
    _write(I, cell(I, POST, at, KEY), I[SEQUENCE], kind, a, b)
    I[SEQUENCE] += 1


@within
def _set_clocks(I, F):
    """Find the next event of each host where something has changed, and which host's is the first of all."""
    moved = False
    while I[N_STALE] > 0:
        I[N_STALE] -= 1
        h, first = I[row(I, STALE, I[N_STALE])], I[FIRST_HOST]
        before = F[row(I, HOST_NEXT, h)]
        _set_clock(I, F, h)
        now, key = F[row(I, HOST_NEXT, h)], I[row(I, HOST_NEXT_KEY, h)]
        if h == first:
            moved |= now >= before
        elif now < F[row(I, HOST_NEXT, first)]:
            I[FIRST_HOST] = h
        else:
            moved |= now == F[row(I, HOST_NEXT, first)] and key < I[row(I, HOST_NEXT_KEY, first)]
    if moved:
        _find_first_host(I, F)


@within
def _set_clock(I, F, h):
    """Find host h's next event: its first job done, or a pause before that. An idle host's first job never ends."""
    I[row(I, HOST_STALE, h)] = 0
    share = F[row(I, HOST_SHARE, h)]
    to_job = max(0.0, F[cube(I, JOB_FLOAT, h, FIRST, V)] - F[row(I, HOST_V, h)]) / share
    if F[row(I, PAUSE_AT, h)] < math.inf:
        to_pause = math.inf
        if I[row(I, HOST_PAUSED, h)] == 1:
            to_job = math.inf
        elif I[row(I, HOST_JOBS, h)] > 0:
            to_pause = max(0.0, F[row(I, PAUSE_AT, h)] - F[row(I, HOST_WORK, h)]) / (share * F[row(I, HOST_WEIGHT, h)])
        I[row(I, HOST_NEXT_IS_PAUSE, h)] = 1 if to_pause < to_job else 0
        to_job = min(to_pause, to_job)
    F[row(I, HOST_NEXT, h)] = F[row(I, HOST_TIME, h)] + to_job


@within
def _find_first_host(I, F):
    """The host with the earliest event; all are looked at, without a branch that a processor must guess."""
    times, keys, hosts = row(I, HOST_NEXT, FIRST), row(I, HOST_NEXT_KEY, FIRST), fixed(I, HOST_NEXT + 3)
    a, b, c, d = math.inf, math.inf, math.inf, math.inf
    for h in range(0, hosts, 4):
        w, x, y, z = F[times + h], F[times + h + 1], F[times + h + 2], F[times + h + 3]
        a, b, c, d = (w if w < a else a), (x if x < b else b), (y if y < c else c), (z if z < d else d)
    a, c = (b if b < a else a), (d if d < c else c)
    best = c if c < a else a
    first, found = FIRST, 0
    for h in range(hosts):
        is_it = F[times + h] == best
        first = h if is_it else first
        found += 1 if is_it else 0
    if found > 1:
        for h in range(hosts):
            if F[times + h] == best and I[keys + h] < I[keys + first]:
                first = h
    I[FIRST_HOST] = first


# ---------------------------------------------------------------- hosts: processor sharing


@inner
def _weigh(I, F, h, weight):
    """Host h has so many threads that want a core: what each gets of it is worked out now, and not at every look."""
    F[row(I, HOST_WEIGHT, h)] = weight
    cores = F[row(I, HOST_CORES, h)]
    F[row(I, HOST_SHARE, h)] = F[row(I, HOST_SPEED, h)] * (1.0 if weight <= cores else cores / weight)


@inner
def _settle(I, F, h):
    """Bring a host's virtual time up to now."""
    now = F[NOW]
    passed = now - F[row(I, HOST_TIME, h)]
    F[row(I, HOST_TIME, h)] = now
    if passed > 0.0 and I[row(I, HOST_PAUSED, h)] == 0:
        weight, share = F[row(I, HOST_WEIGHT, h)], F[row(I, HOST_SHARE, h)]
        F[row(I, HOST_V, h)] += passed * share if I[row(I, HOST_JOBS, h)] > 0 else 0.0
        F[row(I, HOST_WORK, h)] += passed * share * weight
        F[row(I, HOST_BUSY, h)] += passed * min(weight, F[row(I, HOST_CORES, h)])


@inner
def _arm(I, F, h):
    """Host h's next event is another now. It is found before time goes on, once for all that happens in a moment;
    its place among events of one time is that of the last cause.
    """
    I[row(I, HOST_NEXT_KEY, h)] = I[SEQUENCE]
    I[SEQUENCE] += 1
    if I[row(I, HOST_STALE, h)] == 0:
        I[row(I, HOST_STALE, h)] = 1
        I[row(I, STALE, I[N_STALE])] = h
        I[N_STALE] += 1


@inner
def _add_job(I, F, h, work, weight, kind, a, b, held):
    """A job of `work` CPU seconds on `weight` threads enters host h."""
    _settle(I, F, h)
    v = F[row(I, HOST_V, h)] + work / weight
    key = I[SEQUENCE]
    I[SEQUENCE] = key + 1
    n = I[row(I, HOST_JOBS, h)]
    I[row(I, HOST_JOBS, h)] = n + 1
    _weigh(I, F, h, F[row(I, HOST_WEIGHT, h)] + weight)
    k = _risen(I, F, h, n, v, key)
    F[cube(I, JOB_FLOAT, h, k, V)] = v
    F[cube(I, JOB_FLOAT, h, k, WEIGHT)] = weight
    at = cube(I, JOB, h, k, KEY)
    _write(I, at, key, kind, a, b)
    I[at + HELD] = held
    _arm(I, F, h)


@inner
def _risen(I, F, h, n, v, key):
    """The place in host h's heap to which a job rises from place n; those it passes go down."""
    while n > 0:
        up = (n - 1) >> 1
        before = F[cube(I, JOB_FLOAT, h, up, V)]
        if before < v or (before == v and I[cube(I, JOB, h, up, KEY)] < key):
            break
        _copy_job(I, F, h, up, n)
        n = up
    return n


@inner
def _copy_job(I, F, h, source, target):
    x, y = cube(I, JOB_FLOAT, h, source, V), cube(I, JOB_FLOAT, h, target, V)
    F[y + V] = F[x + V]
    F[y + WEIGHT] = F[x + WEIGHT]
    x, y = cube(I, JOB, h, source, KEY), cube(I, JOB, h, target, KEY)
    _write(I, y, I[x + KEY], I[x + KIND], I[x + A], I[x + B])
    I[y + HELD] = I[x + HELD]


@inner
def _remove(I, F, h, at):
    """Take the job at a place of host h's heap away: the last one takes the place, and rises or sinks."""
    n = I[row(I, HOST_JOBS, h)] - 1
    I[row(I, HOST_JOBS, h)] = n
    weight = F[row(I, HOST_WEIGHT, h)] - F[cube(I, JOB_FLOAT, h, at, WEIGHT)]
    _weigh(I, F, h, weight if n > 0 else 0.0)  # no dust of floating point on an idle host
    if at == n:
        if n == 0:
            F[cube(I, JOB_FLOAT, h, FIRST, V)] = math.inf
        return
    v, key = F[cube(I, JOB_FLOAT, h, n, V)], I[cube(I, JOB, h, n, KEY)]
    k = _risen(I, F, h, at, v, key)
    while True:
        child = 2 * k + 1
        if child >= n:
            break
        first, order = F[cube(I, JOB_FLOAT, h, child, V)], I[cube(I, JOB, h, child, KEY)]
        if child + 1 < n:
            other, its = F[cube(I, JOB_FLOAT, h, child + 1, V)], I[cube(I, JOB, h, child + 1, KEY)]
            if other < first or (other == first and its < order):
                child, first, order = child + 1, other, its
        if first > v or (first == v and order > key):
            break
        _copy_job(I, F, h, child, k)
        k = child
    _copy_job(I, F, h, n, k)


@inner
def _drop_job(I, F, h, at):
    """Take the job at place `at` of host h's heap away, unfinished; returns the CPU it still wanted."""
    _settle(I, F, h)
    place = cube(I, JOB_FLOAT, h, at, V)
    left = max(0.0, F[place + V] - F[row(I, HOST_V, h)]) * F[place + WEIGHT]
    _remove(I, F, h, at)
    _arm(I, F, h)
    return left


@inner
def _pause(I, F, h):
    """Stop the world on host h for an exponential time."""
    _settle(I, F, h)
    F[row(I, HOST_WORK, h)] = F[row(I, PAUSE_AT, h)]
    I[row(I, HOST_PAUSED, h)] = 1
    _arm(I, F, h)
    length = F[row(I, PAUSE_MEAN, h)] * exponential(I[SEED], DICE_PAUSE, h, I[row(I, HOST_PAUSES, h)], NONE)
    _push(I, F, F[NOW] + length, HOST_RESUME, h, NONE)


@inner
def _resume(I, F, h):
    _settle(I, F, h)
    I[row(I, HOST_PAUSED, h)] = 0
    I[row(I, HOST_PAUSES, h)] += 1
    gap = exponential(I[SEED], DICE_PAUSE_GAP, h, I[row(I, HOST_PAUSES, h)], NONE) / F[row(I, PAUSE_RATE, h)]
    F[row(I, PAUSE_AT, h)] = F[row(I, HOST_WORK, h)] + gap
    _arm(I, F, h)


# ---------------------------------------------------------------- tasks on slots


@inner
def _free_executor(I, F):
    """The executor with most free slots, -1 if none has any; ties go to the lowest number."""
    best = -1
    most = 0
    for e in range(fixed(I, EXEC_FREE + 3)):
        if I[row(I, EXEC_FREE, e)] > most:
            most = I[row(I, EXEC_FREE, e)]
            best = e
    return best


@inner
def _task_ready(I, F, task):
    e = _free_executor(I, F)
    if e < 0:
        cap = fixed(I, READY + 3)
        I[row(I, READY, _wrapped(I[READY_HEAD] + I[N_READY], cap))] = task
        I[N_READY] += 1
    else:
        _task_starts(I, F, task, e)


@inner
def _task_starts(I, F, task, e):
    I[row(I, EXEC_FREE, e)] -= 1
    I[row(I, TASK_EXEC, task)] = e
    I[row(I, TASK_STATE, task)] = RUNNING
    F[row(I, TASK_STARTED, task)] = F[NOW]
    if F[row(I, TASK_FETCH, task)] > 0.0:
        _push(I, F, F[NOW] + F[row(I, TASK_FETCH, task)], TASK_FETCHED, task, I[row(I, TASK_EPOCH, task)])
    else:
        _next_piece(I, F, task, F[row(I, TASK_SETUP, task)])


@inner
def _documents_of(I, F, task, k):
    """Documents of a task's bulk k."""
    most = F[row(I, BULK_MOST, I[row(I, TASK_FLOW, task)])]
    return min(most, F[row(I, TASK_DOCUMENTS, task)] - k * most)


@inner
def _next_piece(I, F, task, setup):
    """The CPU before a task's next bulk: set-up, the bulk's records, the request."""
    work = setup
    I[row(I, TASK_PIECE, task)] = 1
    if I[row(I, TASK_BULKS, task)] == 0:
        work += F[row(I, TASK_DOCUMENTS, task)] * F[row(I, TASK_DOCUMENT_CPU, task)]
    elif I[row(I, TASK_NEXT, task)] < I[row(I, TASK_BULKS, task)]:
        work += (
            _documents_of(I, F, task, I[row(I, TASK_NEXT, task)]) * F[row(I, TASK_DOCUMENT_CPU, task)]
            + F[row(I, TASK_BULK_CPU, task)]
        )
    e = I[row(I, TASK_EXEC, task)]
    if F[row(I, EXEC_AMPLITUDE, e)] > 0.0:
        work *= 1.0 + F[row(I, EXEC_AMPLITUDE, e)] * math.exp(-F[row(I, EXEC_WORK, e)] / F[row(I, EXEC_WARM_WORK, e)])
        F[row(I, EXEC_WORK, e)] += work
    _add_job(I, F, I[row(I, EXEC_HOST, e)], work, F[row(I, TASK_WEIGHT, task)], PIECE, task, NONE, NONE)


@inner
def _piece_done(I, F, task):
    I[row(I, TASK_PIECE, task)] = 0
    if I[row(I, TASK_BULKS, task)] == 0:
        _task_tail(I, F, task)
        return
    if I[row(I, TASK_FAILED, task)] == 0:
        _send_bulk(I, F, task)
    _after_bulk(I, F, task)


@inner
def _after_bulk(I, F, task):
    """Go on with a task whose piece or bulk is done: next piece, wait, or end."""
    f = I[row(I, TASK_FLOW, task)]
    if I[row(I, TASK_PIECE, task)] == 1:
        return
    if I[row(I, TASK_FAILED, task)] == 1:
        if I[row(I, TASK_FLIGHT, task)] == 0:
            _task_over_again(I, F, task)
        return
    if I[row(I, TASK_NEXT, task)] < I[row(I, TASK_BULKS, task)]:
        if I[row(I, TASK_FLIGHT, task)] < I[row(I, WRITERS, f)]:
            _next_piece(I, F, task, 0.0)
    elif I[row(I, TASK_FLIGHT, task)] == 0:
        _task_tail(I, F, task)


@inner
def _task_over_again(I, F, task):
    """A bulk ran out of retries: the attempt fails, the task runs again from its first record."""
    f = I[row(I, TASK_FLOW, task)]
    I[row(I, TASK_ATTEMPT, task)] += 1
    I[row(I, EXEC_FREE, I[row(I, TASK_EXEC, task)])] += 1
    F[row(I, SLOT_SECONDS, I[row(I, TASK_EXEC, task)])] += F[NOW] - F[row(I, TASK_STARTED, task)]
    F[row(I, TASK_STARTED, task)] = F[NOW]
    if I[row(I, TASK_ATTEMPT, task)] >= MOST_TASK_ATTEMPTS:
        _task_ends(I, F, task)
        _tell(I, F, DONE_FAILED, f)  # the control plane gives the whole stage up
    else:
        I[row(I, TASK_FAILED, task)] = 0
        I[row(I, TASK_NEXT, task)] = 0
        _first_in_line(I, F, task)
    _next_task(I, F)


@inner
def _first_in_line(I, F, task):
    """A task that failed is the next to get a slot: Spark adds it to the end of the list that it takes from."""
    I[row(I, TASK_STATE, task)] = WAITING
    I[READY_HEAD] = (I[READY_HEAD] if I[READY_HEAD] > 0 else fixed(I, READY + 3)) - 1
    I[row(I, READY, I[READY_HEAD])] = task
    I[N_READY] += 1


@inner
def _task_ends(I, F, task):
    """Its row is kept until the stage ends: what it indexed counts if the stage has to be run again."""
    I[row(I, TASK_STATE, task)] = OVER
    F[row(I, SLOT_SECONDS, I[row(I, TASK_EXEC, task)])] += F[NOW] - F[row(I, TASK_STARTED, task)]
    k = I[N_LOG]
    if k < fixed(I, TASK_LOG + 3):
        F[cell(I, TASK_LOG, k, 0)] = I[row(I, TASK_FLOW, task)]
        F[cell(I, TASK_LOG, k, 1)] = I[row(I, TASK_BATCH, task)]
        F[cell(I, TASK_LOG, k, 2)] = I[row(I, TASK_PARTITION, task)]
        F[cell(I, TASK_LOG, k, 3)] = I[row(I, TASK_EXEC, task)]
        F[cell(I, TASK_LOG, k, 4)] = F[row(I, TASK_STARTED, task)]
        F[cell(I, TASK_LOG, k, 5)] = F[NOW]
        I[N_LOG] = k + 1


@inner
def _end_stage(I, F, f):
    """Give the rows of a stage's tasks back; a row that ghosts still point to is kept until the last of them ends."""
    for k in range(I[row(I, STAGE_TASKS, f)]):
        task = I[cell(I, STAGE_ROW, f, k)]
        if I[row(I, TASK_GHOSTS, task)] > 0:
            I[row(I, TASK_STATE, task)] = ORPHAN
        else:
            _free_task(I, task)
    I[row(I, STAGE_TASKS, f)] = 0


@inner
def _free_task(I, task):
    I[row(I, TASK_STATE, task)] = FREE
    I[row(I, TASK_FREE, I[FREE_TASKS])] = task
    I[FREE_TASKS] += 1


@inner
def _task_tail(I, F, task):
    if F[row(I, TASK_TAIL, task)] > 0.0:
        _push(I, F, F[NOW] + F[row(I, TASK_TAIL, task)], TASK_WAITED, task, I[row(I, TASK_EPOCH, task)])
    else:
        _task_done(I, F, task)


@inner
def _task_done(I, F, task):
    f = I[row(I, TASK_FLOW, task)]
    I[row(I, EXEC_FREE, I[row(I, TASK_EXEC, task)])] += 1
    F[row(I, STAGE_SINK_WAIT, f)] += F[row(I, TASK_SINK_WAIT, task)]
    if I[row(I, REFRESH_PER_WRITE, f)] == 1 and I[row(I, TASK_BULKS, task)] > 0:
        for n in range(fixed(I, NODE_HOST + 3)):
            if I[cell(I, SHARDS_ON, f, n)] > 0:
                _refresh_due(I, F, f, n, NONE)
    _task_ends(I, F, task)
    I[row(I, STAGE_LEFT, f)] -= 1
    if I[row(I, STAGE_LEFT, f)] == 0:
        _end_stage(I, F, f)
        _tell(I, F, DONE_STAGE, f)
    _next_task(I, F)


@inner
def _next_task(I, F):
    if I[N_READY] > 0:
        e = _free_executor(I, F)
        if e >= 0:
            task = I[row(I, READY, I[READY_HEAD])]
            I[READY_HEAD] = _wrapped(I[READY_HEAD] + 1, fixed(I, READY + 3))
            I[N_READY] -= 1
            _task_starts(I, F, task, e)


@inner
def _tell(I, F, kind, a):
    I[row(I, DONE_KIND, I[N_DONE])] = kind
    I[row(I, DONE_A, I[N_DONE])] = a
    I[N_DONE] += 1


# ---------------------------------------------------------------- bulks


@inner
def _send_bulk(I, F, task):
    I[FREE_BULKS] -= 1
    bulk = I[row(I, BULK_FREE, I[FREE_BULKS])]
    f = I[row(I, TASK_FLOW, task)]
    k = I[row(I, TASK_NEXT, task)]
    I[row(I, TASK_NEXT, task)] = k + 1
    I[row(I, TASK_FLIGHT, task)] += 1
    I[row(I, BULK_TASK, bulk)] = task
    I[row(I, BULK_INDEX, bulk)] = k
    F[row(I, BULK_DOCUMENTS, bulk)] = _documents_of(I, F, task, k)
    I[row(I, BULK_ATTEMPT, bulk)] = 0
    F[row(I, BULK_SENT, bulk)] = F[NOW]
    for g in range(fixed(I, PRIMARY_SHARE + 1)):
        I[cell(I, BULK_TODO, bulk, g)] = 1 if F[cell(I, PRIMARY_SHARE, f, g)] > 0.0 else 0
    I[row(I, BULK_NODE, bulk)] = (I[row(I, TASK_NUMBER, task)] + k) % fixed(I, NODE_HOST + 3)
    _date(I, F, bulk)
    _send(I, F, bulk, 0.0)


@inner
def _send(I, F, bulk, wait):
    """A bulk leaves its client after a wait."""
    I[row(I, BULK_STATE, bulk)] = ALIVE
    I[row(I, BULK_PLACE, bulk)] = UNDER_WAY
    I[row(I, BULK_FATAL, bulk)] = 0
    I[row(I, BULK_KEY, bulk)] = I[SEQUENCE]
    F[row(I, BULK_LEAVES, bulk)] = F[NOW] + wait
    f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
    _push(I, F, F[NOW] + wait + F[row(I, HALF_TRIP, f)], BULK_ARRIVES, bulk, NONE)


@inner
def _free_bulk(I, F, bulk):
    """A bulk's row is free; if it was a ghost, its task's row may be too."""
    if I[row(I, BULK_STATE, bulk)] != ALIVE:
        task = I[row(I, BULK_TASK, bulk)]
        I[row(I, TASK_GHOSTS, task)] -= 1
        if I[row(I, TASK_GHOSTS, task)] == 0 and I[row(I, TASK_STATE, task)] == ORPHAN:
            _free_task(I, task)
    I[row(I, BULK_STATE, bulk)] = NOBODYS
    I[row(I, BULK_FREE, I[FREE_BULKS])] = bulk
    I[FREE_BULKS] += 1


@inner
def _bulk_arrives(I, F, bulk):
    """At the coordinating node (the next alive): refused whole if too many bytes are in flight, else parsed, split."""
    if I[row(I, BULK_STATE, bulk)] == VOID:
        _free_bulk(I, F, bulk)
        return
    f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
    n = I[row(I, BULK_NODE, bulk)]
    for _ in range(fixed(I, NODE_HOST + 3)):
        if I[row(I, NODE_DOWN, n)] == 0:
            break
        n = _wrapped(n + 1, fixed(I, NODE_HOST + 3))
    I[row(I, BULK_NODE, bulk)] = n
    share = _share_left(I, F, f, bulk)
    if I[row(I, NODE_DOWN, n)] == 1:  # nobody is there
        I[row(I, BULK_FATAL, bulk)] = I[row(I, CONNECT_FATAL, f)]
        _refuse(I, F, f, bulk, share)
        return
    size = F[row(I, BULK_DOCUMENTS, bulk)] * share * F[row(I, DOCUMENT_BYTES, f)]
    F[row(I, BULK_BYTES, bulk)] = size
    if F[row(I, NODE_BYTES, n)] + size > F[row(I, NODE_LIMIT, n)]:
        _refuse(I, F, f, bulk, share)
        return
    F[row(I, NODE_BYTES, n)] += size
    I[row(I, BULK_PLACE, bulk)] = COORDINATED
    work = _cold(I, F, n, F[row(I, BULK_CPU, f)])
    _add_job(I, F, I[row(I, NODE_HOST, n)], work, 1.0, COORDINATE, bulk, NONE, NONE)


@inner
def _share_left(I, F, f, bulk):
    """Share of a bulk's documents that is not indexed yet."""
    share = 0.0
    for g in range(fixed(I, PRIMARY_SHARE + 1)):
        if I[cell(I, BULK_TODO, bulk, g)] == 1:
            share += F[cell(I, PRIMARY_SHARE, f, g)]
    return share


@inner
def _refuse(I, F, f, bulk, share):
    """All that is left of a bulk is refused at once; the answer goes back."""
    F[cell(I, COUNTS, f, REJECTED)] += F[row(I, BULK_DOCUMENTS, bulk)] * share
    F[row(I, BULK_BYTES, bulk)] = 0.0
    I[row(I, BULK_LEFT, bulk)] = 0
    I[row(I, BULK_PLACE, bulk)] = ANSWERED
    _push(I, F, F[NOW] + F[row(I, HALF_TRIP, f)], BULK_ANSWERED, bulk, NONE)


@inner
def _bulk_split(I, F, bulk):
    f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
    if I[row(I, INDEX_BLOCK, f)] > 0:
        F[row(I, NODE_BYTES, I[row(I, BULK_NODE, bulk)])] -= F[row(I, BULK_BYTES, bulk)]
        I[row(I, BULK_FATAL, bulk)] = 1 if I[row(I, INDEX_BLOCK, f)] == BLOCK_FATAL else 0
        _refuse(I, F, f, bulk, _share_left(I, F, f, bulk))
        return
    groups = fixed(I, PRIMARY_SHARE + 1)
    I[row(I, BULK_PLACE, bulk)] = SPLIT
    left = 0
    for g in range(groups):
        left += I[cell(I, BULK_TODO, bulk, g)]
    I[row(I, BULK_LEFT, bulk)] = left
    for g in range(groups):
        if I[cell(I, BULK_TODO, bulk, g)] == 1:
            _ask_threads(I, F, I[cell(I, PRIMARY_NODE, f, g)], bulk, g, I[cell(I, PRIMARY_THREADS, f, g)])
    if I[row(I, BULK_LEFT, bulk)] == 0:
        bulk_complete(I, F, bulk)


@inner
def _ask_threads(I, F, node, bulk, role, wanted):
    """A share of a bulk asks for a node's write threads; a primary's is refused if the queue is full. A dead node's
    share waits until another has the primary, or is answered 503.
    """
    down = I[row(I, NODE_DOWN, node)] == 1
    primary = role < fixed(I, PRIMARY_SHARE + 1)
    if not down and I[row(I, NODE_FREE, node)] > 0 and I[row(I, QUEUE_LENGTH, node)] == 0:
        _run_share(I, F, node, bulk, role, wanted)
    elif primary and I[row(I, QUEUE_OPS, node)] + wanted > WRITE_QUEUE:
        f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
        F[cell(I, COUNTS, f, REJECTED)] += F[row(I, BULK_DOCUMENTS, bulk)] * F[cell(I, PRIMARY_SHARE, f, role)]
        I[row(I, BULK_LEFT, bulk)] -= 1
    else:
        _queue_share(I, F, node, bulk, role, wanted)
        if down and primary:
            expire_later(I, F, node, bulk, role)


@inner
def _queue_share(I, F, node, bulk, role, wanted):
    at = _wrapped(I[row(I, QUEUE_HEAD, node)] + I[row(I, QUEUE_LENGTH, node)], fixed(I, NODE_QUEUE + 1))
    I[cell(I, NODE_QUEUE, node, at)] = (bulk << ROLE_BITS) | role
    I[row(I, QUEUE_LENGTH, node)] += 1
    I[row(I, QUEUE_OPS, node)] += wanted


@inner
def expire_later(I, F, node, bulk, role):
    """A share at a dead node waits for a primary no longer than PRIMARY_TIMEOUT."""
    a = (I[row(I, BULK_KEY, bulk)] << ROLE_BITS) | bulk
    _push(I, F, F[NOW] + PRIMARY_TIMEOUT, SHARE_EXPIRES, a, (node << ROLE_BITS) | role)


@inner
def _share_expires(I, F, a, b):
    """Answered 503 if it still waits at that node, which is still dead."""
    bulk, node, role = a & ROLE_MASK, b >> ROLE_BITS, b & ROLE_MASK
    if I[row(I, NODE_DOWN, node)] == 0 or I[row(I, BULK_KEY, bulk)] != a >> ROLE_BITS:
        return
    code, cap, head, n = (
        (bulk << ROLE_BITS) | role,
        fixed(I, NODE_QUEUE + 1),
        I[row(I, QUEUE_HEAD, node)],
        I[row(I, QUEUE_LENGTH, node)],
    )
    for k in range(n):
        if I[cell(I, NODE_QUEUE, node, _wrapped(head + k, cap))] == code:
            for j in range(k, n - 1):
                I[cell(I, NODE_QUEUE, node, _wrapped(head + j, cap))] = I[
                    cell(I, NODE_QUEUE, node, _wrapped(head + j + 1, cap))
                ]
            f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
            I[row(I, QUEUE_LENGTH, node)] = n - 1
            I[row(I, QUEUE_OPS, node)] -= I[cell(I, PRIMARY_THREADS, f, role)]
            F[cell(I, COUNTS, f, REJECTED)] += F[row(I, BULK_DOCUMENTS, bulk)] * F[cell(I, PRIMARY_SHARE, f, role)]
            _share_over(I, F, bulk)
            return


@inner
def _cold(I, F, node, work):
    """Work as a JVM does it that has not warmed up: c (1 + A exp(-w/w0)), w all CPU it has spent since it started."""
    amplitude = F[row(I, WARM_AMPLITUDE, node)]
    if amplitude <= 0.0:
        return work
    done = F[row(I, NODE_WORK, node)] + F[row(I, NODE_IDLE, node)] * F[NOW]
    work *= 1.0 + amplitude * math.exp(-done / F[row(I, WARM_WORK, node)])
    F[row(I, NODE_WORK, node)] += work
    return work


@inner
def _run_share(I, F, node, bulk, role, wanted):
    nodes, groups = fixed(I, NODE_HOST + 3), fixed(I, PRIMARY_SHARE + 1)
    task = I[row(I, BULK_TASK, bulk)]
    f = I[row(I, TASK_FLOW, task)]
    threads = min(wanted, I[row(I, NODE_FREE, node)])
    _count_threads(I, F, node)
    I[row(I, NODE_FREE, node)] -= threads
    if role < groups:
        work = F[row(I, BULK_DOCUMENTS, bulk)] * F[cell(I, PRIMARY_SHARE, f, role)] * F[row(I, DOCUMENT_CPU, f)]
        kind = PRIMARY
    else:
        work = (
            F[row(I, BULK_DOCUMENTS, bulk)]
            * F[cell(I, PRIMARY_SHARE, f, role - groups)]
            * F[cube(I, REPLICA_SHARE, f, role - groups, node)]
            * F[row(I, REPLICA_CPU, f)]
        )
        kind = REPLICA
    address = I[row(I, TASK_BATCH, task)] * 1_000_003 + I[row(I, TASK_NUMBER, task)]
    work *= lognormal(
        F[row(I, SHARE_SIGMA, f)],
        I[SEED],
        DICE_SHARE + 100 * f,
        address,
        I[row(I, BULK_INDEX, bulk)],
        share_address(groups, nodes, node, role, I[GROUPS_ARE_NODES]),
    )
    work = _cold(I, F, node, work)
    _add_job(I, F, I[row(I, NODE_HOST, node)], work, float(threads), kind, bulk, (node << ROLE_BITS) | role, threads)


@compiled
def share_address(groups, nodes, node, role, groups_are_nodes):
    """Where the dice of a share lie: one address a node and role."""
    if groups_are_nodes == 1:
        return node * (nodes + 1) + (nodes if role < groups else role - groups)
    return node * 2 * groups + role


@inner
def _count_threads(I, F, node):
    F[row(I, WRITE_SECONDS, node)] += (I[row(I, NODE_THREADS, node)] - I[row(I, NODE_FREE, node)]) * (
        F[NOW] - F[row(I, WRITE_SEEN, node)]
    )
    F[row(I, WRITE_SEEN, node)] = F[NOW]


@inner
def _release(I, F, node, threads):
    """Give write threads back; the queue's head takes what is free."""
    _count_threads(I, F, node)
    I[row(I, NODE_FREE, node)] += threads
    while I[row(I, QUEUE_LENGTH, node)] > 0 and I[row(I, NODE_FREE, node)] > 0:
        code = I[cell(I, NODE_QUEUE, node, I[row(I, QUEUE_HEAD, node)])]
        I[row(I, QUEUE_HEAD, node)] = _wrapped(I[row(I, QUEUE_HEAD, node)] + 1, fixed(I, NODE_QUEUE + 1))
        I[row(I, QUEUE_LENGTH, node)] -= 1
        bulk, role = code >> ROLE_BITS, code & ROLE_MASK
        f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
        wanted = _threads_wanted(I, f, node, role)
        I[row(I, QUEUE_OPS, node)] -= wanted
        _run_share(I, F, node, bulk, role, wanted)


@inner
def _threads_wanted(I, f, node, role):
    groups = fixed(I, PRIMARY_SHARE + 1)
    return (
        I[cell(I, PRIMARY_THREADS, f, role)] if role < groups else I[cube(I, REPLICA_THREADS, f, role - groups, node)]
    )


@inner
def _primary_done(I, F, bulk, node, group, threads):
    task = I[row(I, BULK_TASK, bulk)]
    f = I[row(I, TASK_FLOW, task)]
    nodes, groups = fixed(I, NODE_HOST + 3), fixed(I, PRIMARY_SHARE + 1)
    documents = F[row(I, BULK_DOCUMENTS, bulk)] * F[cell(I, PRIMARY_SHARE, f, group)]
    I[cell(I, BULK_TODO, bulk, group)] = 0
    F[cell(I, FRESH, f, node)] += documents
    word, bit = I[row(I, BULK_INDEX, bulk)] >> 5, 1 << (I[row(I, BULK_INDEX, bulk)] & 31)
    bits = cube(I, TASK_BITS, task, group, word)
    if I[bits] & bit:
        F[cell(I, COUNTS, f, DUPLICATED)] += documents * F[row(I, AUTOMATIC_IDS, f)]
    else:
        I[bits] |= bit
        F[cell(I, COUNTS, f, INDEXED)] += documents
        _pend(I, F, f, node, bulk, documents / F[row(I, DOCUMENTS_PER_RECORD, f)])
    for y in range(nodes):
        if F[cube(I, REPLICA_SHARE, f, group, y)] > 0.0:
            I[row(I, BULK_LEFT, bulk)] += 1
    _release(I, F, node, threads)
    for y in range(nodes):
        if F[cube(I, REPLICA_SHARE, f, group, y)] > 0.0:
            _ask_threads(I, F, y, bulk, groups + group, I[cube(I, REPLICA_THREADS, f, group, y)])
    _share_over(I, F, bulk)


@inner
def _share_over(I, F, bulk):
    """A share of a bulk is done, or refused."""
    I[row(I, BULK_LEFT, bulk)] -= 1
    if I[row(I, BULK_LEFT, bulk)] == 0:
        bulk_complete(I, F, bulk)


@inner
def _replica_done(I, F, bulk, node, group, threads):
    f = I[row(I, TASK_FLOW, I[row(I, BULK_TASK, bulk)])]
    documents = (
        F[row(I, BULK_DOCUMENTS, bulk)]
        * F[cell(I, PRIMARY_SHARE, f, group)]
        * F[cube(I, REPLICA_SHARE, f, group, node)]
    )
    F[cell(I, FRESH, f, node)] += documents * F[row(I, REPLICA_FRESH, f)]
    _release(I, F, node, threads)
    _share_over(I, F, bulk)


@inner
def bulk_complete(I, F, bulk):
    """Every copy has it, or has refused it: the answer leaves after the waits that are not CPU."""
    task = I[row(I, BULK_TASK, bulk)]
    f = I[row(I, TASK_FLOW, task)]
    I[row(I, BULK_PLACE, bulk)] = ANSWERED
    if I[row(I, BULK_STATE, bulk)] == GHOST:
        F[row(I, NODE_BYTES, I[row(I, BULK_NODE, bulk)])] -= F[row(I, BULK_BYTES, bulk)]
        _free_bulk(I, F, bulk)
        return
    address = I[row(I, TASK_BATCH, task)] * 1_000_003 + I[row(I, TASK_NUMBER, task)]
    wait = F[row(I, BULK_WAIT, f)] * lognormal(
        F[row(I, SHARE_SIGMA, f)],
        I[SEED],
        DICE_WAIT + 100 * f,
        address,
        I[row(I, BULK_INDEX, bulk)],
        I[row(I, BULK_ATTEMPT, bulk)],
    )
    _push(I, F, F[NOW] + (wait + F[row(I, HALF_TRIP, f)]), BULK_ANSWERED, bulk, NONE)


@inner
def _bulk_answered(I, F, bulk):
    """The client has its answer. The node held the bulk's bytes until now (half a round trip more than it does)."""
    if I[row(I, BULK_STATE, bulk)] == GHOST:
        F[row(I, NODE_BYTES, I[row(I, BULK_NODE, bulk)])] -= F[row(I, BULK_BYTES, bulk)]
        _free_bulk(I, F, bulk)
        return
    task = I[row(I, BULK_TASK, bulk)]
    f = I[row(I, TASK_FLOW, task)]
    F[row(I, NODE_BYTES, I[row(I, BULK_NODE, bulk)])] -= F[row(I, BULK_BYTES, bulk)]
    rejected = 0
    for g in range(fixed(I, PRIMARY_SHARE + 1)):
        rejected += I[cell(I, BULK_TODO, bulk, g)]
    again = I[row(I, BULK_ATTEMPT, bulk)] < I[row(I, RETRY_ATTEMPTS, f)] and I[row(I, BULK_FATAL, bulk)] == 0
    if rejected > 0 and again:
        wait = F[row(I, RETRY_WAIT, f)] * F[row(I, RETRY_MULTIPLIER, f)] ** I[row(I, BULK_ATTEMPT, bulk)]
        I[row(I, BULK_ATTEMPT, bulk)] += 1
        _send(I, F, bulk, min(wait, F[row(I, RETRY_LONGEST, f)]))
        return
    if rejected > 0:
        I[row(I, TASK_FAILED, task)] = 1
    F[row(I, TASK_SINK_WAIT, task)] += F[NOW] - F[row(I, BULK_SENT, bulk)]
    I[row(I, TASK_FLIGHT, task)] -= 1
    _free_bulk(I, F, bulk)
    _after_bulk(I, F, task)


# ---------------------------------------------------------------- refresh, merge, visibility


@inner
def _first(I, F, p, offset, above, hint):
    """The first point of a partition's creation curve whose count is at least `offset` (`above`: exceeds it).

    Gallops forward from `hint`, a point known to lie before it (0 if nothing is known).
    """
    n = I[row(I, CURVE_LENGTH, p)]
    low, step = hint, 1
    while low + step < n and _before(F[cell(I, CURVE_COUNT, p, low + step)], offset, above):
        low += step
        step *= 2
    high = min(low + step, n)
    if not _before(F[cell(I, CURVE_COUNT, p, low)], offset, above):
        return low
    while high - low > 1:
        mid = (low + high) >> 1
        if _before(F[cell(I, CURVE_COUNT, p, mid)], offset, above):
            low = mid
        else:
            high = mid
    return high


@compiled
def _before(count, offset, above):
    return count <= offset if above == 1 else count < offset


@inner
def _time_of(I, F, p, offset, at):
    """When the count of a partition reached `offset`, on the stretch of its creation curve that ends at point `at`."""
    n = I[row(I, CURVE_LENGTH, p)]
    if at == 0 or at >= n:
        return F[cell(I, CURVE_TIME, p, 0 if at == 0 else n - 1)]
    c0, c1 = F[cell(I, CURVE_COUNT, p, at - 1)], F[cell(I, CURVE_COUNT, p, at)]
    t0, t1 = F[cell(I, CURVE_TIME, p, at - 1)], F[cell(I, CURVE_TIME, p, at)]
    return t0 + (offset - c0) / (c1 - c0) * (t1 - t0)


@inner
def _created(I, F, p, offset):
    """When the record before an offset of a partition was created: the creation curve read backwards."""
    return _time_of(I, F, p, offset, _first(I, F, p, offset, AT, FIRST))


@inner
def _created_from(I, F, p, offset):
    """When the first record after an offset was created: as `created`, but behind a stretch without arrivals."""
    return _time_of(I, F, p, offset, _first(I, F, p, offset, ABOVE, FIRST))


@inner
def _date(I, F, bulk):
    """Note when a bulk's records were created, first to last, and what share of them belongs to the window.

    The share is one of offsets; times are cut at the window's edges. The task remembers where on the curve it stands.
    """
    task = I[row(I, BULK_TASK, bulk)]
    f, p = I[row(I, TASK_FLOW, task)], I[row(I, TASK_PARTITION, task)]
    total, before = F[row(I, TASK_DOCUMENTS, task)], I[row(I, BULK_INDEX, bulk)] * F[row(I, BULK_MOST, f)]
    k0, k1 = before / total, min(1.0, (before + F[row(I, BULK_DOCUMENTS, bulk)]) / total)
    if p < 0:
        span = F[row(I, TASK_C1, task)] - F[row(I, TASK_C0, task)]
        F[row(I, BULK_C0, bulk)] = F[row(I, TASK_C0, task)] + k0 * span
        F[row(I, BULK_C1, bulk)] = F[row(I, TASK_C0, task)] + k1 * span
        F[row(I, BULK_SHARE, bulk)] = F[row(I, TASK_SHARE, task)]
        return
    span = F[row(I, TASK_TO, task)] - F[row(I, TASK_FROM, task)]
    first, last = F[row(I, TASK_FROM, task)] + k0 * span, F[row(I, TASK_FROM, task)] + k1 * span
    start = _first(I, F, p, first, ABOVE, I[row(I, TASK_POINT, task)] if I[row(I, BULK_INDEX, bulk)] > 0 else FIRST)
    end = _first(I, F, p, last, AT, max(FIRST, start - 1))
    I[row(I, TASK_POINT, task)] = max(0, end - 1)
    c0, c1 = _time_of(I, F, p, first, start), _time_of(I, F, p, last, end)
    low, high = first, last
    if c0 < F[WINDOW_FROM]:
        low = min(last, max(first, _count_at(I, F, p, F[WINDOW_FROM])))
    if c1 > F[WINDOW_UNTIL]:
        high = max(first, min(last, _count_at(I, F, p, F[WINDOW_UNTIL])))
    F[row(I, BULK_SHARE, bulk)] = max(0.0, high - low) / (last - first)
    F[row(I, BULK_C0, bulk)] = max(c0, F[WINDOW_FROM])
    F[row(I, BULK_C1, bulk)] = min(c1, F[WINDOW_UNTIL])


@inner
def _pend(I, F, f, node, bulk, records):
    """Note records that wait for the refresh of a node."""
    cap = I[PEND_C0 + 2]
    at = _wrapped(I[cell(I, PEND_HEAD, f, node)] + I[cell(I, PEND_LENGTH, f, node)], cap)
    F[cube(I, PEND_C0, f, node, at)] = F[row(I, BULK_C0, bulk)]
    F[cube(I, PEND_C1, f, node, at)] = F[row(I, BULK_C1, bulk)]
    F[cube(I, PEND_MASS, f, node, at)] = records
    F[cube(I, PEND_IN_WINDOW, f, node, at)] = records * F[row(I, BULK_SHARE, bulk)]
    F[cube(I, PEND_TIME, f, node, at)] = F[NOW]
    F[cube(I, PEND_CUT, f, node, at)] = F[row(I, STAGE_CUT, f)]
    I[cell(I, PEND_LENGTH, f, node)] += 1
    if I[cell(I, PEND_LENGTH, f, node)] + 2 >= cap:
        I[GROW_WHAT] = GROW_PENDING


@inner
def _refresh_due(I, F, f, node, ticking):
    """A refresh is due: runs if something is new; the interval counts from its end. A dead node's clock ticks on."""
    if I[cell(I, REFRESHING, f, node)] == 1 or I[row(I, NODE_DOWN, node)] == 1:
        if ticking == 1:
            _push(I, F, F[NOW] + F[row(I, REFRESH_INTERVAL, f)], REFRESH_DUE, f, node)
        return
    if F[cell(I, FRESH, f, node)] > 0.0:
        I[cell(I, REFRESHING, f, node)] = 1
        I[cell(I, REFRESH_MARK, f, node)] = I[cell(I, PEND_LENGTH, f, node)]
        F[cell(I, REFRESH_DOCUMENTS, f, node)] = F[cell(I, FRESH, f, node)]
        F[cell(I, FRESH, f, node)] = 0.0
        shards = I[cell(I, SHARDS_ON, f, node)]
        work = (
            shards * F[row(I, REFRESH_CPU, f)]
            + F[cell(I, REFRESH_DOCUMENTS, f, node)] * F[row(I, REFRESH_DOCUMENT_CPU, f)]
        )
        threads = float(min(shards, I[row(I, REFRESH_THREADS, node)]))
        _add_job(I, F, I[row(I, NODE_HOST, node)], _cold(I, F, node, work), threads, REFRESH, f, node, ticking)
    elif ticking == 1:
        _push(I, F, F[NOW] + F[row(I, REFRESH_INTERVAL, f)], REFRESH_DUE, f, node)


@inner
def _refresh_done(I, F, f, node, ticking):
    I[cell(I, REFRESHING, f, node)] = 0
    cap = I[PEND_C0 + 2]
    for _ in range(I[cell(I, REFRESH_MARK, f, node)]):
        at = I[cell(I, PEND_HEAD, f, node)]
        _show(I, F, f, node, at)
        I[cell(I, PEND_HEAD, f, node)] = _wrapped(at + 1, cap)
        I[cell(I, PEND_LENGTH, f, node)] -= 1
    documents = F[cell(I, REFRESH_DOCUMENTS, f, node)]
    F[row(I, MERGE_DEBT, node)] += documents * F[row(I, MERGE_DOCUMENT_CPU, f)]
    F[row(I, MERGE_BYTES, node)] += documents * F[row(I, MERGE_DOCUMENT_BYTES, f)]
    F[row(I, MERGE_FLUSH, node)] = documents * F[row(I, MERGE_DOCUMENT_CPU, f)]
    _merge_if_due(I, F, node)
    if ticking == 1:
        _push(I, F, F[NOW] + F[row(I, REFRESH_INTERVAL, f)], REFRESH_DUE, f, node)


@inner
def _merge_if_due(I, F, node):
    """Ten segments' debt starts a merge; disk slower than CPU makes it long and thin."""
    if (
        I[row(I, MERGING, node)] == 1
        or F[row(I, MERGE_DEBT, node)] <= 0.0
        or F[row(I, MERGE_DEBT, node)] < MERGE_AFTER * F[row(I, MERGE_FLUSH, node)]
    ):
        return
    h = I[row(I, NODE_HOST, node)]
    cpu = F[row(I, MERGE_DEBT, node)] / F[row(I, HOST_SPEED, h)]
    disk = F[row(I, MERGE_BYTES, node)] / F[row(I, MERGE_RATE, node)]
    weight = 1.0 if disk <= cpu else cpu / disk
    I[row(I, MERGING, node)] = 1
    _add_job(I, F, h, _cold(I, F, node, F[row(I, MERGE_DEBT, node)]), weight, MERGE, node, NONE, NONE)
    F[row(I, MERGE_DEBT, node)] = 0.0
    F[row(I, MERGE_BYTES, node)] = 0.0


@inner
def _show(I, F, f, node, at):
    """Pending records become visible now: their latencies join the histogram as a ramp."""
    F[cell(I, COUNTS, f, VISIBLE)] += F[cube(I, PEND_MASS, f, node, at)]
    mass = F[cube(I, PEND_IN_WINDOW, f, node, at)]
    if mass <= 0.0:
        return
    start, end = F[cube(I, PEND_C0, f, node, at)], F[cube(I, PEND_C1, f, node, at)]
    now = F[NOW]
    _ramp(I, F, SLOPE, STEP, f, now - end, now - start, mass, F[FINE_WIDTH], F[COARSE_WIDTH])
    F[cell(I, HOPS, f, 0)] += mass
    F[cell(I, HOPS, f, 1)] += mass * (F[cube(I, PEND_CUT, f, node, at)] - 0.5 * (start + end))
    F[cell(I, HOPS, f, 2)] += mass * (F[cube(I, PEND_TIME, f, node, at)] - F[cube(I, PEND_CUT, f, node, at)])
    F[cell(I, HOPS, f, 3)] += mass * (now - F[cube(I, PEND_TIME, f, node, at)])


@inner
def _ramp(I, F, slope, step, f, low, high, mass, fine, coarse):
    """Add `mass` spread evenly over latencies low..high to the second differences of a histogram.

    The cumulative share at bin edges is exact; fine bins serve what ends inside them, coarse ones the rest.
    """
    low = max(low, 0.0)
    high = max(high, low)
    width, base, bins = fine, 0, FINE_BINS
    if high >= fine * (FINE_BINS - 2):
        width, base, bins = coarse, FINE_BINS, COARSE_BINS
    x0, x1 = min(low / width, bins - 2.0), min(high / width, bins - 2.0)
    k0, k1 = int(x0) + 1, int(x1) + 1
    if x1 - x0 < 1e-9:
        F[cell(I, step, f, base + k0)] += mass
        return
    rise = mass / (x1 - x0)
    F[cell(I, step, f, base + k0)] += rise * (k0 - x0)
    F[cell(I, slope, f, base + k0)] += rise
    F[cell(I, step, f, base + k1)] -= rise * (k1 - x1)
    F[cell(I, slope, f, base + k1)] -= rise


# ---------------------------------------------------------------- the front: producers, brokers, copies


@inner
def _step_of(I, F, f, time):
    """The step of a flow's rate that holds at a time."""
    low, high = FIRST, fixed(I, RATE_AT + 1)
    while low < high:
        mid = (low + high) >> 1
        if F[cell(I, RATE_AT, f, mid)] <= time:
            low = mid + 1
        else:
            high = mid
    return max(FIRST, low - 1)


@inner
def _end_of_step(I, F, f, step):
    return F[cell(I, RATE_AT, f, step + 1)] if step + 1 < fixed(I, RATE_AT + 1) else math.inf


@inner
def _even(I, F, f, stream, k):
    """Whether the records of a stream's batch k come evenly, not as Poisson's do."""
    random = F[row(I, POISSON_SHARE, f)]
    return random < 1.0 and uniform(I[SEED], DICE_GAP + 100 * f, stream, k, TICKING) >= random


@inner
def _open_batch(I, F, stream):
    """Draw a stream's next producer batch and announce when it closes.

    Poisson arrivals: its first record comes an exponential gap after the clock, then more until linger, or the
    (most-1)-th of them: given their number they lie uniformly, and the mean of that order statistic stands
    for the draw (so counts and mean cycle are exact, the spread of full batches' times is not). Even arrivals: the
    record that is due next opens it, and as many follow as linger and size let in. Dispersions between 0 and 1 mix
    the two by batch, as models/kafka.py's `batch_records` does; what an even batch left over shortens the next gap, so
    that the rate is kept.
    """
    f = I[row(I, STREAM_FLOW, stream)]
    k = I[row(I, STREAM_K, stream)]
    I[row(I, STREAM_K, stream)] = k + 1
    clock = F[row(I, STREAM_CLOCK, stream)]
    step = _step_of(I, F, f, clock)
    rate, edge = F[cell(I, RATE, f, step)] * F[row(I, STREAM_SHARE, stream)], _end_of_step(I, F, f, step)
    even, owed = _even(I, F, f, stream, k), 1.0  # records that are due before the next one
    if k > 0 and _even(I, F, f, stream, k - 1):
        owed = max(0.0, F[row(I, STREAM_N, stream)] - rate * (clock - F[row(I, STREAM_FIRST, stream)]))
    elif k == 0 and even:
        owed = uniform(I[SEED], DICE_GAP + 100 * f, stream, k, NONE)
    need = owed if even else owed * exponential(I[SEED], DICE_GAP + 100 * f, stream, k, NONE)
    while rate <= 0.0 or need > rate * (edge - clock):
        if edge == math.inf:
            return
        if rate > 0.0:
            need -= rate * (edge - clock)
        clock = edge
        step = _step_of(I, F, f, clock)
        rate, edge = F[cell(I, RATE, f, step)] * F[row(I, STREAM_SHARE, stream)], _end_of_step(I, F, f, step)
    first = clock + need / rate
    most = F[row(I, MOST_RECORDS, f)]
    close = first + F[row(I, LINGER, f)]
    if even:
        more = math.floor(rate * F[row(I, LINGER, f)] + 1e-9)
        if more >= most - 1.0:
            close = first + (most - 1.0) / rate
            more = most - 1.0
    else:
        more = poisson(rate * F[row(I, LINGER, f)], I[SEED], DICE_COUNT + 100 * f, stream, k, NONE)
        if more >= most - 1.0:
            close = first + F[row(I, LINGER, f)] * (most - 1.0) / (more + 1.0)
            more = most - 1.0
    F[row(I, STREAM_FIRST, stream)] = first
    F[row(I, STREAM_N, stream)] = 1.0 + more
    F[row(I, STREAM_CLOCK, stream)] = close
    I[row(I, STREAM_PART, stream)] = I[row(I, STREAM_PARTITION, stream)]
    if I[row(I, STREAM_PARTITION, stream)] < 0:
        u = uniform(I[SEED], DICE_STICKY + 100 * f, stream, k, NONE)
        p, last = I[row(I, PARTITION_BASE, f)], I[row(I, PARTITION_BASE, f + 1)] - 1
        while p < last:  # the first whose cumulative share reaches u
            mid = (p + last) >> 1
            if F[row(I, PARTITION_SHARES, mid)] < u:
                p = mid + 1
            else:
                last = mid
        I[row(I, STREAM_PART, stream)] = p
    _push(I, F, max(F[NOW], close), BATCH_CLOSES, stream, NONE)


@inner
def _has_room(I, F, stream):
    """Whether a stream's closed batch fits into its producers' buffers; an empty buffer takes any."""
    f = I[row(I, STREAM_FLOW, stream)]
    size = F[row(I, STREAM_N, stream)] * F[row(I, WIRE_BYTES, f)]
    return I[row(I, UNSENT_BATCHES, f)] == 0 or F[row(I, UNSENT, f)] + size <= F[row(I, BUFFER_BYTES, f)]


@within
def _batch_closes(I, F, stream):
    """A batch is closed: its producer blocks while the buffers are full or others wait, else it goes to its leader."""
    f = I[row(I, STREAM_FLOW, stream)]
    if I[row(I, BLOCKED_N, f)] > 0 or not _has_room(I, F, stream):
        I[cell(I, BLOCKED, f, I[row(I, BLOCKED_N, f)])] = stream
        I[row(I, BLOCKED_N, f)] += 1
    else:
        _hand_over(I, F, stream)


@inner
def _hand_over(I, F, stream):
    """A batch leaves its producer for its partition's line; the producer opens its next."""
    f = I[row(I, STREAM_FLOW, stream)]
    F[row(I, UNSENT, f)] += F[row(I, STREAM_N, stream)] * F[row(I, WIRE_BYTES, f)]
    I[row(I, UNSENT_BATCHES, f)] += 1
    p = I[row(I, STREAM_PART, stream)]
    cap = fixed(I, PART_LINE + SECOND)
    at = cube(I, PART_LINE, p, _wrapped(I[row(I, PART_HEAD, p)] + I[row(I, PART_LENGTH, p)], cap), TOTAL)
    F[at + TOTAL] = F[row(I, STREAM_N, stream)]
    F[at + OPENED] = F[row(I, STREAM_FIRST, stream)]
    F[at + CLOSED] = F[row(I, STREAM_CLOCK, stream)]
    F[at + STOOD] = F[NOW] - F[row(I, STREAM_CLOCK, stream)]
    I[row(I, PART_LENGTH, p)] += 1
    if I[row(I, PART_LENGTH, p)] + 2 >= cap:
        I[GROW_WHAT] = GROW_CURVE
    F[cell(I, COUNTS, f, PRODUCED)] += F[row(I, STREAM_N, stream)]
    if I[row(I, PART_BUSY, p)] == 0:
        I[row(I, PART_BUSY, p)] = 1
        _ask_handler(I, F, p)
    _open_batch(I, F, stream)


@inner
def _ask_handler(I, F, p):
    b = I[row(I, PARTITION_LEADER, p)]
    if I[row(I, BROKER_FREE, b)] > 0:
        I[row(I, BROKER_FREE, b)] -= 1
        _append(I, F, p)
    else:
        I[
            cell(
                I,
                BROKER_QUEUE,
                b,
                _wrapped(I[row(I, BROKER_HEAD, b)] + I[row(I, BROKER_LENGTH, b)], fixed(I, BROKER_QUEUE + 1)),
            )
        ] = p
        I[row(I, BROKER_LENGTH, b)] += 1


@inner
def _append(I, F, p):
    f = I[row(I, PARTITION_FLOW, p)]
    n = F[cube(I, PART_LINE, p, I[row(I, PART_HEAD, p)], TOTAL)]
    work = F[row(I, REQUEST_CPU, f)] + n * F[row(I, WIRE_BYTES, f)] * F[row(I, APPEND_BYTE_CPU, f)]
    _add_job(I, F, I[row(I, BROKER_HOST, I[row(I, PARTITION_LEADER, p)])], work, 1.0, APPEND, p, NONE, NONE)


@within
def _appended(I, F, p):
    """A batch is in the leader's log: followers may have it, the next batch of the partition may follow."""
    f = I[row(I, PARTITION_FLOW, p)]
    b = I[row(I, PARTITION_LEADER, p)]
    waiting, k = cube(I, PART_LINE, p, I[row(I, PART_HEAD, p)], TOTAL), I[row(I, LOG_COUNT, p)]
    F[row(I, LOG_END, p)] += F[waiting + TOTAL]
    logged = cube(I, LOG, p, k, TOTAL)
    F[logged + TOTAL] = F[row(I, LOG_END, p)]
    F[logged + OPENED] = F[waiting + OPENED]
    F[logged + CLOSED] = F[waiting + CLOSED]
    F[logged + STOOD] = F[waiting + STOOD]
    I[row(I, LOG_COUNT, p)] = k + 1
    if I[row(I, ACKS, f)] != ACKS_ALL:
        _acknowledge(I, F, p, k, F[NOW] + F[row(I, APPEND_WAIT, f)])
    _draw_creation_curve(I, F, p, F[waiting + OPENED], F[waiting + CLOSED])
    I[row(I, PART_LENGTH, p)] -= 1
    I[row(I, PART_HEAD, p)] = _wrapped(I[row(I, PART_HEAD, p)] + 1, fixed(I, PART_LINE + SECOND))
    if I[row(I, PART_LENGTH, p)] == 0:
        I[row(I, PART_HEAD, p)] = 0  # a short line stays in the same few places, and those in the processor's cache
    I[row(I, BROKER_FREE, b)] += 1
    if I[row(I, BROKER_LENGTH, b)] > 0:
        q = I[cell(I, BROKER_QUEUE, b, I[row(I, BROKER_HEAD, b)])]
        I[row(I, BROKER_HEAD, b)] = _wrapped(I[row(I, BROKER_HEAD, b)] + 1, fixed(I, BROKER_QUEUE + 1))
        I[row(I, BROKER_LENGTH, b)] -= 1
        I[row(I, BROKER_FREE, b)] -= 1
        _append(I, F, q)
    if I[row(I, PART_LENGTH, p)] > 0:
        _ask_handler(I, F, p)
    else:
        I[row(I, PART_BUSY, p)] = 0
    if I[row(I, LEADER_START, p + 1)] == I[row(I, LEADER_START, p)]:
        _commit(I, F, p, k + 1)
    for j in range(I[row(I, LEADER_START, p)], I[row(I, LEADER_START, p + 1)]):
        link = I[row(I, LEADER_LINK, j)]
        I[row(I, LINK_NEWS, link)] += 1
        if I[row(I, LINK_BUSY, link)] == 0:
            _fetch(I, F, link)
    if I[row(I, BLOCKED_N, f)] > 0:
        _unblock(I, F, f)


@inner
def _draw_creation_curve(I, F, p, opened, closed):
    """The records of a batch that was just logged came between two times, evenly."""
    g = I[row(I, CURVE_LENGTH, p)]
    time, count = cell(I, CURVE_TIME, p, g), cell(I, CURVE_COUNT, p, g)
    F[time] = max(F[time - 1], opened)
    F[count] = F[count - 1]
    F[time + 1] = max(F[time], closed)
    F[count + 1] = F[row(I, LOG_END, p)]
    I[row(I, CURVE_LENGTH, p)] = g + 2
    if g + 6 >= fixed(I, CURVE_TIME + 1) or I[row(I, LOG_COUNT, p)] + 2 >= fixed(I, LOG + SECOND):
        I[GROW_WHAT] = GROW_CURVE


@inner
def _logged(I, F, p, k):
    """Records of a partition in its first k batches."""
    return F[cube(I, LOG, p, k - 1, TOTAL)] if k > 0 else 0.0


@inner
def _fetch(I, F, link):
    """A follower's fetch takes all that the leader's log has gained since its last one."""
    if I[row(I, LINK_NEWS, link)] == 0:
        I[row(I, LINK_BUSY, link)] = 0
        return
    I[row(I, LINK_NEWS, link)] = 0
    size, batches, f = 0.0, 0, 0
    for j in range(I[row(I, LINK_START, link)], I[row(I, LINK_START, link + 1)]):
        p, r = I[row(I, LINK_PARTITION, j)], I[row(I, LINK_COPY, j)]
        upto = I[row(I, LOG_COUNT, p)]
        if upto > I[cell(I, FETCHED, p, r)]:
            f = I[row(I, PARTITION_FLOW, p)]
            before = I[cell(I, FETCHED, p, r)]
            size += (_logged(I, F, p, upto) - _logged(I, F, p, before)) * F[row(I, WIRE_BYTES, f)]
            batches += upto - before
            I[cell(I, FETCHED, p, r)] = upto
        I[row(I, LINK_UPTO, j)] = upto
    I[row(I, LINK_BUSY, link)] = 1
    work = F[row(I, SERVE_CPU, f)] + size * F[row(I, SERVE_BYTE_CPU, f)]
    follow = batches * F[row(I, FOLLOW_CPU, f)] + size * F[row(I, FOLLOW_BYTE_CPU, f)]
    F[row(I, LINK_WORK, link)] = follow
    _add_job(I, F, I[row(I, BROKER_HOST, I[row(I, LINK_FROM, link)])], work, 1.0, SERVE, link, f, NONE)


@within
def _link_acked(I, F, link):
    """The follower's next fetch tells the leader what it has: the high watermark may pass it."""
    for j in range(I[row(I, LINK_START, link)], I[row(I, LINK_START, link + 1)]):
        p, r = I[row(I, LINK_PARTITION, j)], I[row(I, LINK_COPY, j)]
        if I[row(I, LINK_UPTO, j)] > I[cell(I, ACKED, p, r)]:
            I[cell(I, ACKED, p, r)] = I[row(I, LINK_UPTO, j)]
            least = I[cell(I, ACKED, p, 0)]
            for q in range(1, I[row(I, LEADER_START, p + 1)] - I[row(I, LEADER_START, p)]):
                least = min(least, I[cell(I, ACKED, p, q)])
            if least > I[row(I, COMMIT_COUNT, p)]:
                _commit(I, F, p, least)
                f = I[row(I, PARTITION_FLOW, p)]
                if I[row(I, BLOCKED_N, f)] > 0:
                    _unblock(I, F, f)
    _fetch(I, F, link)


@inner
def _acknowledge(I, F, p, k, time):
    """The producer hears of batch k of a partition: its buffer is freed, its publish latency known.

    Publish latency counts from send()'s return, as clients state it: time blocked on a full buffer is before it.
    """
    f = I[row(I, PARTITION_FLOW, p)]
    n = _logged(I, F, p, k + 1) - _logged(I, F, p, k)
    I[row(I, UNSENT_BATCHES, f)] -= 1
    F[row(I, UNSENT, f)] -= n * F[row(I, WIRE_BYTES, f)]
    if I[row(I, UNSENT_BATCHES, f)] == 0:
        F[row(I, UNSENT, f)] = 0.0  # no dust of floating point in an empty buffer
    batch = cube(I, LOG, p, k, TOTAL)
    close = F[batch + CLOSED]
    if F[WINDOW_FROM] <= close < F[WINDOW_UNTIL]:
        end = time + F[row(I, FRONT_TRIP, f)] - F[batch + STOOD] if I[row(I, ACKS, f)] > 0 else close
        low, high = end - close, end - F[batch + OPENED]
        _ramp(I, F, PUBLISH_SLOPE, PUBLISH_STEP, f, low, high, n, 1e-4, 0.01)


@inner
def _commit(I, F, p, upto):
    """The high watermark passes batches up to a number: consumers may read them."""
    f = I[row(I, PARTITION_FLOW, p)]
    now = F[NOW] + F[row(I, APPEND_WAIT, f)]
    for k in range(I[row(I, COMMIT_COUNT, p)], upto):
        F[cube(I, LOG, p, k, PASSED)] = now
        F[cell(I, COUNTS, f, COMMITTED)] += _logged(I, F, p, k + 1) - _logged(I, F, p, k)
        if I[row(I, ACKS, f)] == ACKS_ALL:
            _acknowledge(I, F, p, k, now)
    I[row(I, COMMIT_COUNT, p)] = upto


@inner
def _unblock(I, F, f):
    """Room was made: producers that wait go on in their order, as many as fit."""
    while I[row(I, BLOCKED_N, f)] > 0 and I[GROW_WHAT] == 0:
        stream = I[cell(I, BLOCKED, f, 0)]
        if not _has_room(I, F, stream):
            return
        I[row(I, BLOCKED_N, f)] -= 1
        for k in range(I[row(I, BLOCKED_N, f)]):
            I[cell(I, BLOCKED, f, k)] = I[cell(I, BLOCKED, f, k + 1)]
        _hand_over(I, F, stream)


@inner
def committed(I, F, p, time):
    """Records of a partition that a consumer may read at a time [records]."""
    n = I[row(I, COMMIT_COUNT, p)]
    low, high = 0, n
    while low < high:
        mid = (low + high) >> 1
        if F[cube(I, LOG, p, mid, PASSED)] <= time:
            low = mid + 1
        else:
            high = mid
    return _logged(I, F, p, low)


@inner
def _count_at(I, F, p, time):
    """Records of a partition created by a time: the creation curve read forwards [records]."""
    n = I[row(I, CURVE_LENGTH, p)]
    low, high = 0, n
    while low < high:
        mid = (low + high) >> 1
        if F[cell(I, CURVE_TIME, p, mid)] <= time:
            low = mid + 1
        else:
            high = mid
    if low == 0:
        return 0.0
    if low == n:
        return F[cell(I, CURVE_COUNT, p, n - 1)]
    t0, t1 = F[cell(I, CURVE_TIME, p, low - 1)], F[cell(I, CURVE_TIME, p, low)]
    x = (time - t0) / (t1 - t0) if t1 > t0 else 1.0
    return F[cell(I, CURVE_COUNT, p, low - 1)] + x * (
        F[cell(I, CURVE_COUNT, p, low)] - F[cell(I, CURVE_COUNT, p, low - 1)]
    )


@inner
def _readable(I, F, f, time, delay):
    """Records of each partition of a flow that a consumer may read at a time: below the high watermark (exact front),
    or created `delay` ago (fluid front, whole records) [records].
    """
    base = I[row(I, PARTITION_BASE, f)]
    out = np.empty(I[row(I, PARTITION_BASE, f + 1)] - base)
    for p in range(len(out)):
        if I[EXACT_FRONT] == 1:
            out[p] = committed(I, F, base + p, time)
        else:
            out[p] = math.floor(_count_at(I, F, base + p, time - delay) + 1e-6)
    return out


@inner
def _created_span(I, F, f, start, end):
    """When the first and the last record between two sets of offsets were created [s]; inf, -inf if there is none."""
    base = I[row(I, PARTITION_BASE, f)]
    first, last = math.inf, -math.inf
    for p in range(len(start)):
        if end[p] > start[p]:
            first = min(first, _created_from(I, F, base + p, start[p]))
            last = max(last, _created(I, F, base + p, end[p]))
    return first, last


@compiled
def task_noise(sigma, seed, f, batch, stage, tasks):
    """A factor of mean 1 for each task of a stage."""
    out = np.empty(tasks)
    for n in range(tasks):
        out[n] = lognormal(sigma, seed, DICE_TASK + 100 * f, batch, n, stage)
    return out


@compiled
def commit_noise(sigma, seed, f, batch, first, files):
    """A factor of mean 1 for each of a batch's checkpoint writes, from number `first` on."""
    out = np.empty(files)
    for n in range(files):
        out[n] = lognormal(sigma, seed, DICE_COMMIT + 100 * f, batch, first + n, NONE)
    return out


@compiled
def draw_curve(seed, f, p, times, expected, dispersion, count):
    """Fill a partition's creation curve: counts of each cell scatter with the index of dispersion.

    A dispersion D > 0 makes the cell D × Poisson(mean / D): mean kept, variance D × mean.
    """
    total = 0.0
    count[0] = 0.0
    for k in range(1, len(times)):
        mean = expected[k] - expected[k - 1]
        if dispersion <= 0.0:
            total = expected[k]
        else:
            total += dispersion * poisson(mean / dispersion, seed, DICE_ARRIVALS + 100 * f, p, k, NONE)
        count[k] = total


# ---------------------------------------------------------------- the loop


@inner
def _set_cores(I, F, h, cores):
    """Change the capacity that a host leaves to the model: background load came or went."""
    _settle(I, F, h)
    F[row(I, HOST_CORES, h)] = cores
    _weigh(I, F, h, F[row(I, HOST_WEIGHT, h)])
    _arm(I, F, h)


@inner
def _set_speed(I, F, h, speed):
    """Change how fast a host's threads are: a neighbour, a failing disk, spent credits."""
    _settle(I, F, h)
    F[row(I, HOST_SPEED, h)] = speed
    _weigh(I, F, h, F[row(I, HOST_WEIGHT, h)])
    _arm(I, F, h)


@inner
def _look(I, F):
    """Bring every host's and pool's account up to now."""
    for h in range(fixed(I, HOST_CORES + 3)):
        _settle(I, F, h)
    for n in range(fixed(I, NODE_HOST + 3)):
        _count_threads(I, F, n)


@inner
def _driver_job(I, F, f, work):
    """CPU of the driver for flow f; told when done."""
    _add_job(I, F, I[DRIVER_HOST], work, 1.0, DRIVER, f, NONE, NONE)


@inner
def _start_stage(I, F, f, batch, cut, table, launch, rows):
    """Enter the tasks of a stage; row: partition, from, to, documents, setup, document CPU, bulk CPU, weight,
    fetch, tail, c0, c1, bulks, share. The driver launches one every `launch` seconds. `rows` are those of the same
    tasks when they were run before, empty if they never were: what they indexed then is not new any more.
    """
    I[row(I, STAGE_LEFT, f)] = table.shape[0]
    I[row(I, STAGE_TASKS, f)] = table.shape[0]
    F[row(I, STAGE_CUT, f)] = cut
    F[row(I, STAGE_SINK_WAIT, f)] = 0.0
    for k in range(table.shape[0]):
        if len(rows) > 0:
            task = rows[k]
        else:
            I[FREE_TASKS] -= 1
            task = I[row(I, TASK_FREE, I[FREE_TASKS])]
            I[row(I, TASK_GHOSTS, task)] = 0
            for g in range(fixed(I, PRIMARY_SHARE + 1)):
                for word in range(fixed(I, TASK_BITS + 2)):
                    I[cube(I, TASK_BITS, task, g, word)] = 0
        I[cell(I, STAGE_ROW, f, k)] = task
        I[row(I, TASK_STATE, task)] = WAITING
        I[row(I, TASK_EPOCH, task)] += 1
        I[row(I, TASK_FLOW, task)] = f
        I[row(I, TASK_BATCH, task)] = batch
        I[row(I, TASK_NUMBER, task)] = k
        I[row(I, TASK_PARTITION, task)] = int(table[k, 0])
        F[row(I, TASK_FROM, task)] = table[k, 1]
        F[row(I, TASK_TO, task)] = table[k, 2]
        F[row(I, TASK_DOCUMENTS, task)] = table[k, 3]
        F[row(I, TASK_SETUP, task)] = table[k, 4]
        F[row(I, TASK_DOCUMENT_CPU, task)] = table[k, 5]
        F[row(I, TASK_BULK_CPU, task)] = table[k, 6]
        F[row(I, TASK_WEIGHT, task)] = table[k, 7]
        F[row(I, TASK_FETCH, task)] = table[k, 8]
        F[row(I, TASK_TAIL, task)] = table[k, 9]
        F[row(I, TASK_C0, task)] = table[k, 10]
        F[row(I, TASK_C1, task)] = table[k, 11]
        I[row(I, TASK_BULKS, task)] = int(table[k, 12])
        F[row(I, TASK_SHARE, task)] = table[k, 13]
        I[row(I, TASK_NEXT, task)] = 0
        I[row(I, TASK_FLIGHT, task)] = 0
        I[row(I, TASK_ATTEMPT, task)] = 0
        I[row(I, TASK_FAILED, task)] = 0
        I[row(I, TASK_PIECE, task)] = 0
        F[row(I, TASK_SINK_WAIT, task)] = 0.0
        _push(I, F, F[NOW] + (k + 1) * launch, TASK_READY, task, I[row(I, TASK_EPOCH, task)])


@within
def _take_job(I, F, h):
    """Take the first job of host h, which is done."""
    _settle(I, F, h)
    F[row(I, HOST_V, h)] = F[cube(I, JOB_FLOAT, h, FIRST, V)]
    _remove(I, F, h, FIRST)
    _arm(I, F, h)


@within
def _take_letter(I, F):
    """Take the first event of the post."""
    I[N_POST] -= 1
    I[POST_HEAD] = _wrapped(I[POST_HEAD] + 1, fixed(I, POST_TIME + 3)) if I[N_POST] > 0 else 0
    if I[N_POST] == 0:
        F[row(I, POST_TIME, FIRST)] = math.inf


@within
def _happens(I, F, kind, a, b, held):
    """What follows from an event, or from a job that is done."""
    if kind == LINK_ARRIVES:
        _add_job(I, F, I[row(I, BROKER_HOST, I[row(I, LINK_TO, a)])], F[row(I, LINK_WORK, a)], 1.0, FOLLOW, a, b, NONE)
    elif kind == LINK_ACKED:
        _link_acked(I, F, a)
    elif kind == SERVE:
        _post(I, F, F[NOW] + F[row(I, FRONT_TRIP, b)], LINK_ARRIVES, a, b)
    elif kind == FOLLOW:
        _post(I, F, F[NOW] + F[row(I, FRONT_TRIP, b)], LINK_ACKED, a, b)
    elif kind == APPEND:
        _appended(I, F, a)
    elif kind == BATCH_CLOSES:
        _batch_closes(I, F, a)
    else:
        _happens_behind(I, F, kind, a, b, held)


@inner
def _happens_behind(I, F, kind, a, b, held):
    """What follows behind the front: in tasks, bulks, refreshes; and on hosts."""
    if kind == PIECE:
        _piece_done(I, F, a)
    elif kind == COORDINATE:
        _bulk_split(I, F, a)
    elif kind == PRIMARY:
        _primary_done(I, F, a, b >> ROLE_BITS, b & ROLE_MASK, held)
    elif kind == REPLICA:
        _replica_done(I, F, a, b >> ROLE_BITS, (b & ROLE_MASK) - fixed(I, PRIMARY_SHARE + 1), held)
    elif kind == BULK_ARRIVES:
        _bulk_arrives(I, F, a)
    elif kind == BULK_ANSWERED:
        _bulk_answered(I, F, a)
    elif kind <= TASK_WAITED and kind >= TASK_READY:
        _task_goes_on(I, F, kind, a, b)
    elif kind == REFRESH_DUE and I[row(I, REFRESH_FIXED_RATE, a)] == 1:
        _push(I, F, F[NOW] + F[row(I, REFRESH_INTERVAL, a)], REFRESH_DUE, a, b)
        _refresh_due(I, F, a, b, NONE)
    elif kind == REFRESH_DUE:
        _refresh_due(I, F, a, b, TICKING)
    elif kind == REFRESH:
        _refresh_done(I, F, a, b, held)
    elif kind == MERGE:
        I[row(I, MERGING, a)] = 0
        _merge_if_due(I, F, a)
    elif kind == DRIVER:
        _tell(I, F, DONE_DRIVER, a)
    elif kind == HOST_PAUSE:
        _pause(I, F, a)
    elif kind == HOST_RESUME:
        _resume(I, F, a)
    elif kind == SHARE_EXPIRES:
        _share_expires(I, F, a, b)


@inner
def _task_goes_on(I, F, kind, task, epoch):
    if epoch != I[row(I, TASK_EPOCH, task)]:
        return  # it was stopped meanwhile
    if kind == TASK_READY:
        _task_ready(I, F, task)
    elif kind == TASK_FETCHED:
        _next_piece(I, F, task, F[row(I, TASK_SETUP, task)])
    else:
        _task_done(I, F, task)


@within
def _next(I, F):
    """The next event of all: its time (inf if there is none) and where in I it lies. Hosts, heap and post are compared
    without branches, which a processor would guess wrong; only equal times are looked at more closely.
    """
    h, head = I[FIRST_HOST], I[POST_HEAD]
    host, heap, post = F[row(I, HOST_NEXT, h)], F[row(I, EVENT_TIME, FIRST)], F[row(I, POST_TIME, head)]
    at = cell(I, PAUSE_EVENT, h, KEY) if I[row(I, HOST_NEXT_IS_PAUSE, h)] == 1 else cube(I, JOB, h, FIRST, KEY)
    first, at = (heap if heap < host else host), (cell(I, EVENT, FIRST, KEY) if heap < host else at)
    if heap == host or post == first:
        return _next_of_equals(I, F)
    return (post if post < first else first), (cell(I, POST, head, KEY) if post < first else at)


@inner
def _next_of_equals(I, F):
    h, head = I[FIRST_HOST], I[POST_HEAD]
    at = cell(I, PAUSE_EVENT, h, KEY) if I[row(I, HOST_NEXT_IS_PAUSE, h)] == 1 else cube(I, JOB, h, FIRST, KEY)
    time, key = F[row(I, HOST_NEXT, h)], I[row(I, HOST_NEXT_KEY, h)]
    other, its = F[row(I, EVENT_TIME, FIRST)], I[cell(I, EVENT, FIRST, KEY)]
    if other < time or (other == time and its < key):
        time, key, at = other, its, cell(I, EVENT, FIRST, KEY)
    other, its = F[row(I, POST_TIME, head)], I[cell(I, POST, head, KEY)]
    if other < time or (other == time and its < key):
        time, key, at = other, its, cell(I, POST, head, KEY)
    return time, at


@inner
def _advance(I, F, until):
    """Run events up to `until`, or until the control plane must be told something, or a table must grow."""
    I[N_DONE] = 0
    if I[N_EVENTS] == 0:
        F[row(I, EVENT_TIME, FIRST)] = math.inf
    if I[N_POST] == 0:
        F[row(I, POST_TIME, FIRST)] = math.inf
    while I[GROW_WHAT] == 0:
        _set_clocks(I, F)
        time, at = _next(I, F)
        if time > until or time == math.inf:
            F[NOW] = max(F[NOW], until)
            return REACHED
        F[NOW] = time
        I[EVENTS_SEEN] += 1
        kind, a, b, held = I[at + KIND], I[at + A], I[at + B], NONE
        if kind >= PIECE:
            held = I[at + HELD]
            _take_job(I, F, I[FIRST_HOST])
        elif at == cell(I, EVENT, FIRST, KEY):
            _pop(I, F)
        elif kind != HOST_PAUSE:
            _take_letter(I, F)
        _happens(I, F, kind, a, b, held)
        if I[N_DONE] > 0:
            return DONE
    return GROW


# ---------------------------------------------------------------- doors: what Python calls


@compiled
def act(I, F, what, a, b, c, d, e, x, y):
    """The door to all that moves something; returns what the act returns, else 0.

    One door, as behind each lies much the same code, and each would be compiled, kept and loaded with all of it.
    """
    ints, floats = bare(I), bare(F)
    if what == ACT_ADVANCE:
        return float(_advance(ints, floats, x))
    elif what == ACT_DRIVER_JOB:
        _driver_job(ints, floats, a, x)
    elif what == ACT_SET_CORES:
        _set_cores(ints, floats, a, x)
    elif what == ACT_SET_SPEED:
        _set_speed(ints, floats, a, x)
    elif what == ACT_LOOK:
        _look(ints, floats)
    elif what == ACT_PUSH:
        _push(ints, floats, x, a, b, c)
    elif what == ACT_OPEN_BATCH:
        _open_batch(ints, floats, a)
    elif what == ACT_ADD_JOB:
        _add_job(ints, floats, a, x, y, b, c, d, e)
    elif what == ACT_DROP_JOB:
        return _drop_job(ints, floats, a, b)
    elif what == ACT_SEND:
        _send(ints, floats, a, x)
    elif what == ACT_ASK_THREADS:
        _ask_threads(ints, floats, a, b, c, d)
    elif what == ACT_QUEUE_SHARE:
        _queue_share(ints, floats, a, b, c, d)
    elif what == ACT_RELEASE:
        _release(ints, floats, a, b)
    elif what == ACT_SHARE_OVER:
        _share_over(ints, floats, a)
    elif what == ACT_FREE_BULK:
        _free_bulk(ints, floats, a)
    elif what == ACT_END_STAGE:
        _end_stage(ints, floats, a)
    elif what == ACT_FIRST_IN_LINE:
        _first_in_line(ints, floats, a)
    elif what == ACT_NEXT_TASK:
        _next_task(ints, floats)
    elif what == ACT_UNBLOCK:
        _unblock(ints, floats, a)
    return 0.0


@compiled
def start_stage(I, F, f, batch, cut, table, launch, rows):
    _start_stage(bare(I), bare(F), f, batch, cut, table, launch, rows)


@compiled
def readable(I, F, f, time, delay):
    return _readable(bare(I), bare(F), f, time, delay)


@compiled
def created_span(I, F, f, start, end):
    return _created_span(bare(I), bare(F), f, start, end)


@compiled
def count_at(I, F, p, time):
    return _count_at(bare(I), bare(F), p, time)


@compiled
def created(I, F, p, offset):
    return _created(bare(I), bare(F), p, offset)


@compiled
def created_from(I, F, p, offset):
    return _created_from(bare(I), bare(F), p, offset)


@compiled
def ramp(I, F, slope, step, f, low, high, mass, fine, coarse):
    _ramp(bare(I), bare(F), slope, step, f, low, high, mass, fine, coarse)


@compiled
def threads_wanted(I, f, node, role):
    return _threads_wanted(bare(I), f, node, role)


def advance(I, F, until):
    return int(act(I, F, ACT_ADVANCE, 0, 0, 0, 0, 0, float(until), 0.0))


def driver_job(I, F, f, work):
    act(I, F, ACT_DRIVER_JOB, f, 0, 0, 0, 0, float(work), 0.0)


def set_cores(I, F, h, cores):
    act(I, F, ACT_SET_CORES, h, 0, 0, 0, 0, float(cores), 0.0)


def set_speed(I, F, h, speed):
    act(I, F, ACT_SET_SPEED, h, 0, 0, 0, 0, float(speed), 0.0)


def look(I, F):
    act(I, F, ACT_LOOK, 0, 0, 0, 0, 0, 0.0, 0.0)


def push(I, F, time, kind, a, b):
    act(I, F, ACT_PUSH, kind, a, b, 0, 0, float(time), 0.0)


def open_batch(I, F, stream):
    act(I, F, ACT_OPEN_BATCH, stream, 0, 0, 0, 0, 0.0, 0.0)


def add_job(I, F, h, work, weight, kind, a, b, held):
    act(I, F, ACT_ADD_JOB, h, kind, a, b, held, float(work), float(weight))


def drop_job(I, F, h, at):
    return act(I, F, ACT_DROP_JOB, h, at, 0, 0, 0, 0.0, 0.0)


def send(I, F, bulk, wait):
    act(I, F, ACT_SEND, bulk, 0, 0, 0, 0, float(wait), 0.0)


def ask_threads(I, F, node, bulk, role, wanted):
    act(I, F, ACT_ASK_THREADS, node, bulk, role, wanted, 0, 0.0, 0.0)


def queue_share(I, F, node, bulk, role, wanted):
    act(I, F, ACT_QUEUE_SHARE, node, bulk, role, wanted, 0, 0.0, 0.0)


def release(I, F, node, threads):
    act(I, F, ACT_RELEASE, node, threads, 0, 0, 0, 0.0, 0.0)


def share_over(I, F, bulk):
    act(I, F, ACT_SHARE_OVER, bulk, 0, 0, 0, 0, 0.0, 0.0)


def free_bulk(I, F, bulk):
    act(I, F, ACT_FREE_BULK, bulk, 0, 0, 0, 0, 0.0, 0.0)


def end_stage(I, F, f):
    act(I, F, ACT_END_STAGE, f, 0, 0, 0, 0, 0.0, 0.0)


def first_in_line(I, F, task):
    act(I, F, ACT_FIRST_IN_LINE, task, 0, 0, 0, 0, 0.0, 0.0)


def next_task(I, F):
    act(I, F, ACT_NEXT_TASK, 0, 0, 0, 0, 0, 0.0, 0.0)


def unblock(I, F, f):
    act(I, F, ACT_UNBLOCK, f, 0, 0, 0, 0, 0.0, 0.0)
