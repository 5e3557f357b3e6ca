//! Settings of a private server, from the machine's memory and cores.
//!
//! They are written once, when the cluster is made, into `data/postgresql.conf`: edit them there.
//! What must hold for the cluster to be found and to be private is given at every start instead.

/// Settings that suit a registry on a machine that has other work to do as well.
pub(super) fn settings(memory_bytes: u64, cores: usize) -> String {
    let mib = memory_bytes >> 20;
    let shared_buffers = (mib / 8).clamp(64, 4096);
    let cache = (mib / 2).max(128);
    let maintenance = (mib / 32).clamp(64, 1024);
    let workers = cores.clamp(1, 8);
    let in_parallel = cores.div_ceil(2).min(4);
    format!(
        "
# written once by bifrost, for {mib} MB of memory and {cores} cores; yours to change

# a crash at any instruction loses no commit
fsync = on
full_page_writes = on
synchronous_commit = on

shared_buffers = {shared_buffers}MB
effective_cache_size = {cache}MB
work_mem = 32MB
maintenance_work_mem = {maintenance}MB
max_worker_processes = 8
max_parallel_workers = {workers}
max_parallel_workers_per_gather = {in_parallel}
max_parallel_maintenance_workers = {in_parallel}

# bulk loads write much at once, and nothing replicates from here
wal_level = minimal
max_wal_senders = 0
wal_compression = on
max_wal_size = 4GB
checkpoint_timeout = 15min

# local NVMe
random_page_cost = 1.1
effective_io_concurrency = 64

autovacuum_max_workers = 3
autovacuum_naptime = 15s
autovacuum_vacuum_cost_limit = 2000
autovacuum_analyze_scale_factor = 0.02

timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_min_error_statement = panic
"
    )
}

/// Memory of the machine, or less where a container allows less.
pub(super) fn memory_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let memory = machine.unwrap_or(1 << 30);
    container.map_or(memory, |limit: u64| memory.min(limit))
}

/// Cores this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_machine() {
        let node = settings(16 << 30, 4);
        assert!(node.contains("shared_buffers = 2048MB"), "{node}");
        assert!(node.contains("max_parallel_workers_per_gather = 2"), "{node}");
        let tiny = settings(256 << 20, 1);
        assert!(tiny.contains("shared_buffers = 64MB"), "{tiny}");
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(total("MemTotal:       24684096 kB\nMemFree: 1 kB\n"), Some(24_684_096 << 10));
    }
}
