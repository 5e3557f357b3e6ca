//! Starts, watches and stops the server of a cluster.
//!
//! What counts is whether the socket answers and which processes work in the data folder; the pid
//! file alone may be stale, and its number may belong to somebody else by now.

use super::place::SOCKET;
use super::programs::Programs;
use super::{Cluster, Error, State, at, create::last_lines, owner};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Crash recovery of a large registry takes minutes.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a killed server's workers get to notice that it is gone.
const ORPHANS_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOG_MAX_BYTES: u64 = 16 << 20;
/// Less shared memory than this cannot carry parallel queries (containers often get 64 MB).
const SHARED_MEMORY_MIN_BYTES: u64 = 512 << 20;

/// The server's first process, as it describes itself in `postmaster.pid`.
pub(super) struct Postmaster {
    pub(super) pid: i32,
    ready: bool,
}

impl Postmaster {
    /// Line 1 is the process, line 8 how it is.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, ready })
    }
}

impl Cluster {
    /// The server's first process, if it is alive in this data folder.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Postmaster::parse(&text).filter(|postmaster| serves(postmaster.pid, &self.data()))
    }

    pub(super) fn look(&self) -> Result<State, Error> {
        let socket = self.folder.join(SOCKET);
        let answers = match UnixStream::connect(&socket) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(at(&socket)(e)),
            Err(_) => false,
        };
        let ready = || {
            let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok();
            text.and_then(|text| Postmaster::parse(&text))
                .is_some_and(|postmaster| postmaster.ready)
        };
        Ok(match (answers, self.postmaster()) {
            // the server may run in another container, with process numbers of its own
            (true, _) if ready() => State::Up,
            (true, _) | (false, Some(_)) => State::Changing,
            (false, None) => State::Down,
        })
    }

    /// Starts the server unless it runs, and says whether it did; the lock is held.
    pub(super) fn start(&self, programs: &Programs) -> Result<bool, Error> {
        if self.settle()? == State::Up {
            return Ok(false);
        }
        self.clear_remains()?;
        let (log, log_starts) = self.open_log()?;
        let mut server = self.launch(programs, log)?;
        let deadline = Instant::now() + PATIENCE;
        while self.look()? != State::Up {
            if server.try_wait().map_err(at(&self.folder))?.is_some() {
                return Err(Error::Program {
                    program: programs.postgres().display().to_string(),
                    said: self.log_since(log_starts),
                });
            }
            if Instant::now() > deadline {
                return Err(Error::Slow { folder: self.folder.clone(), waited: PATIENCE });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    /// Asks the server to end ("fast": open transactions are undone) and waits for it.
    pub(super) fn stop(&self) -> Result<bool, Error> {
        if self.settle()? == State::Down {
            return Ok(false);
        }
        let Some(postmaster) = self.postmaster() else {
            let source = io::Error::other("its server runs in another container: stop it there");
            return Err(at(&self.folder)(source));
        };
        signal(postmaster.pid, Signal::INT).map_err(at(&self.folder))?;
        match self.wait_while(State::Up)? {
            State::Down => Ok(true),
            _ => Err(Error::Slow { folder: self.folder.clone(), waited: PATIENCE }),
        }
    }

    /// Waits until a server that starts or stops has done so.
    fn settle(&self) -> Result<State, Error> {
        match self.wait_while(State::Changing)? {
            State::Changing => Err(Error::Slow { folder: self.folder.clone(), waited: PATIENCE }),
            settled => Ok(settled),
        }
    }

    /// Waits while the server is in a state, or changing; says how it is afterwards.
    fn wait_while(&self, state: State) -> Result<State, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.look()?;
            if (now != state && now != State::Changing) || Instant::now() > deadline {
                return Ok(now);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Removes what a killed server left: workers that have not noticed, and the files that name
    /// its process, whose number another process (or nobody's zombie) may have by now.
    fn clear_remains(&self) -> Result<(), Error> {
        let deadline = Instant::now() + ORPHANS_PATIENCE;
        loop {
            let orphans = servers_in(&self.data());
            if orphans.is_empty() || Instant::now() > deadline {
                break;
            }
            for pid in orphans {
                // what the server itself would have sent them; one that is gone needs no signal
                let _ = signal(pid, Signal::QUIT);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let socket = self.folder.join(SOCKET);
        let lock = self.folder.join(format!("{SOCKET}.lock"));
        for remains in [self.data().join("postmaster.pid"), lock, socket] {
            match std::fs::remove_file(&remains) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(&remains)(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Starts the server in a process group of its own: a Ctrl-C meant for us is not for it.
    fn launch(&self, programs: &Programs, log: File) -> Result<Child, Error> {
        let mut command = self.owner.command(&programs.postgres(), &self.folder);
        command.arg("-D").arg(self.data()).args(["-c", "listen_addresses="]);
        command.arg("-c").arg(socket_setting(&self.folder)).args(["-c", "port=5432"]);
        if shared_memory_bytes() < SHARED_MEMORY_MIN_BYTES {
            command.args(["-c", "dynamic_shared_memory_type=mmap"]);
        }
        let same_log = log.try_clone().map_err(at(&self.folder))?;
        command.stdin(Stdio::null()).stdout(log).stderr(same_log).process_group(0);
        spawn(command)
    }

    /// The log, opened to be written to, and its length so far.
    fn open_log(&self) -> Result<(File, u64), Error> {
        let path = self.folder.join("server.log");
        if std::fs::symlink_metadata(&path).is_ok_and(|log| log.len() > LOG_MAX_BYTES) {
            std::fs::rename(&path, path.with_extension("log.1")).map_err(at(&path))?;
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        let log = options.open(&path).map_err(at(&path))?;
        if owner::effective() == 0 {
            let (uid, gid) = (Some(self.owner.uid), Some(self.owner.gid));
            std::os::unix::fs::fchown(&log, uid, gid).map_err(at(&path))?;
        }
        let length = log.metadata().map_err(at(&path))?.len();
        Ok((log, length))
    }

    fn log_since(&self, start: u64) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(self.folder.join("server.log"))?;
            log.seek(SeekFrom::Start(start))?;
            let mut said = Vec::new();
            log.take(LOG_MAX_BYTES).read_to_end(&mut said)?;
            Ok(last_lines(&String::from_utf8_lossy(&said)))
        };
        read().unwrap_or_else(|e| e.to_string())
    }
}

fn spawn(mut command: Command) -> Result<Child, Error> {
    command.spawn().map_err(|e| Error::Program {
        program: Path::new(command.get_program()).display().to_string(),
        said: e.to_string(),
    })
}

/// `unix_socket_directories` is a list: a folder with a comma in its name needs quotes.
fn socket_setting(folder: &Path) -> OsString {
    let mut setting = b"unix_socket_directories=\"".to_vec();
    for &byte in folder.as_os_str().as_bytes() {
        if byte == b'"' {
            setting.push(b'"');
        }
        setting.push(byte);
    }
    setting.push(b'"');
    OsString::from_vec(setting)
}

/// Whether a process is alive and one of a server's: all of them work in its data folder.
fn serves(pid: i32, data: &Path) -> bool {
    let named = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    named.is_ok_and(|name| name.trim() == "postgres") && works_in(pid, data)
}

fn works_in(pid: i32, folder: &Path) -> bool {
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)
}

fn servers_in(data: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| serves(pid, data)).collect()
}

fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    kill_process(pid, signal).map_err(io::Error::from)
}

fn shared_memory_bytes() -> u64 {
    rustix::fs::statvfs("/dev/shm").map_or(0, |shm| shm.f_blocks.saturating_mul(shm.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_as_far_as_it_goes() {
        let whole = "123\n/data\n1700000000\n5432\n/sock\n\n  5432001         3\nready   \n";
        let postmaster = Postmaster::parse(whole).expect("a pid");
        assert_eq!((postmaster.pid, postmaster.ready), (123, true));
        let begun = Postmaster::parse("123\n/data\n").expect("a pid");
        assert!(!begun.ready);
        assert!(Postmaster::parse("").is_none());
    }

    #[test]
    fn folders_are_quoted_in_lists() {
        assert_eq!(socket_setting(Path::new("/a,\"b")), r#"unix_socket_directories="/a,""b""#);
    }

    #[test]
    fn this_process_works_where_it_stands() {
        let here = std::env::current_dir().expect("a folder").canonicalize().expect("a path");
        let me = i32::try_from(std::process::id()).expect("a small number");
        assert!(works_in(me, &here));
        assert!(!works_in(me, Path::new("/nowhere")));
        assert!(!serves(me, &here), "this is no Postgres");
    }
}
