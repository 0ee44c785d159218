//! CPU time by who spent it, read from `/proc`: threads of this process by name, and a child process tree. Wall time lies on shared machines.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks of `/proc/*/stat` a second, fixed at 100 by Linux for user space.
const TICKS_PER_S: u64 = 100;

/// CPU microseconds by thread group of this process: the thread's name without trailing digits and dashes.
pub fn threads() -> BTreeMap<String, u64> {
    let mut groups = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Some((name, us)) = stat(&task.path().join("stat")) {
            let group = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
            *groups.entry(group).or_default() += us;
        }
    }
    groups
}

/// CPU microseconds of all processes whose parent chain leads to this one (Postgres and its backends), exited ones included where reaped.
pub fn children() -> u64 {
    let me = std::process::id();
    let mut parents = BTreeMap::new();
    let mut spent = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some((parent, us)) = process(&entry.path().join("stat")) {
            parents.insert(pid, parent);
            spent.insert(pid, us);
        }
    }
    let ours = |mut pid: u32| {
        for _ in 0..16 {
            match parents.get(&pid) {
                Some(&parent) if parent == me => return true,
                Some(&parent) => pid = parent,
                None => return false,
            }
        }
        false
    };
    spent.iter().filter(|(pid, _)| ours(**pid)).map(|(_, us)| us).sum()
}

fn fields(path: &std::path::Path) -> Option<(String, Vec<u64>)> {
    let text = fs::read_to_string(path).ok()?;
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let rest = text[close + 2..].split(' ').skip(1).map(|field| field.trim().parse().unwrap_or(0)).collect();
    Some((text[open + 1..close].to_owned(), rest))
}

/// Field numbers of proc(5): ppid 4, utime 14, stime 15, cutime 16, cstime 17; `rest` starts at field 4.
fn stat(path: &std::path::Path) -> Option<(String, u64)> {
    let (name, rest) = fields(path)?;
    Some((name, (rest.get(10)? + rest.get(11)?) * 1_000_000 / TICKS_PER_S))
}

fn process(path: &std::path::Path) -> Option<(u32, u64)> {
    let (_, rest) = fields(path)?;
    let ticks = rest.get(10)? + rest.get(11)? + rest.get(12)? + rest.get(13)?;
    Some((*rest.first()? as u32, ticks * 1_000_000 / TICKS_PER_S))
}
