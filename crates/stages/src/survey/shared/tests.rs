//! Several that share, what is kept, and what is lost.

use super::*;
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};

/// Claims of several threads.
#[derive(Default)]
struct Held(Mutex<HashSet<(String, usize)>>);

impl Claims for Held {
    fn claim(&self, step: &str, part: usize) -> Result<bool, Failure> {
        Ok(self.0.lock().expect("held").insert((step.to_owned(), part)))
    }

    fn release(&self, step: &str, part: usize) -> Result<(), Failure> {
        assert!(self.0.lock().expect("held").remove(&(step.to_owned(), part)));
        Ok(())
    }

    fn told(&self, _: &str, _: usize, _: usize) {}
}

fn open<'a>(folder: &Path, held: &'a Held) -> Shared<'a> {
    let place = Place { folder, remote: None, scratch_bytes: 0 };
    Shared::open(place, "work", held).expect("opened")
}

#[test]
fn several_share_parts_and_each_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (held, made, all) = (Held::default(), AtomicUsize::new(0), Barrier::new(3));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let work = open(folder.path(), &held);
                all.wait();
                let make = |part: usize| {
                    made.fetch_add(1, Relaxed);
                    Ok(vec![part as u8; part])
                };
                work.each("a step", 20, &make).expect("made");
                assert!(
                    (0..20)
                        .all(|part| work.read("a step", part).expect("read")
                            == vec![part as u8; part])
                );
                work.kept().finish(false).expect("finished");
            });
        }
    });
    assert_eq!(made.into_inner(), 20);
    assert!(!folder.path().join("work").exists(), "the last takes the folder away");
}

#[test]
fn one_may_begin_while_another_takes_the_folder_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = Held::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let work = open(folder.path(), &held);
                    work.each("s", 1, &|_| Ok(vec![1])).expect("made");
                    assert_eq!(work.read("s", 0).expect("read"), [1]);
                    work.kept().finish(false).expect("finished");
                }
            });
        }
    });
}

#[test]
fn what_is_there_is_not_made_again_and_damage_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = Held::default();
    let work = open(folder.path(), &held);
    let fail = |part: usize| match part {
        0 => Ok(b"nought".to_vec()),
        _ => Err("interrupted".into()),
    };
    assert_eq!(work.each("s", 2, &fail).expect_err("stopped").to_string(), "interrupted");
    drop(work);
    let work = open(folder.path(), &held);
    let other = |part: usize| if part == 0 { Err("made again".into()) } else { Ok(vec![7]) };
    work.each("s", 2, &other).expect("goes on");
    assert_eq!(work.read("s", 0).expect("there"), b"nought");
    let path = |part: usize| folder.path().join("work/s").join(part.to_string());
    for torn in [&b"torn"[..], b"", &[7; 33]] {
        // where one is damaged, the others are looked at
        (0..2).for_each(|part| std::fs::write(path(part), torn).expect("written"));
        let lost = work.read("s", 1).expect_err("damaged").to_string();
        assert_eq!(lost, format!("{} is damaged, and was removed", path(1).display()));
        assert!(!path(0).exists() && !path(1).exists());
        assert!(work.read("s", 1).expect_err("gone").to_string().ends_with("is gone"));
        work.each("s", 2, &|part| Ok(vec![part as u8])).expect("made anew");
        assert_eq!(work.read("s", 1).expect("there"), [1]);
    }
}
