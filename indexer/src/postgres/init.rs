//! Makes a new cluster, wholly or not at all: initdb works in `data.init.<pid>`, a rename publishes it.

use std::{fs, path::Path, process::Stdio};

use super::{Identity, PostgresError, USER, guard, locate::Binaries, place::Place};

/// Makes `place.data` if it is not there. A half-made one of a killed start is deleted first.
pub(super) fn ensure(
    place: &Place,
    binaries: &Binaries,
    identity: Option<&Identity>,
    guard_exe: Option<&Path>,
    ephemeral: bool,
) -> Result<(), PostgresError> {
    if let Some(made_by) = made_by(&place.data) {
        return if made_by == binaries.major.to_string() {
            Ok(())
        } else {
            Err(PostgresError::OtherMajor { path: place.data.clone(), made_by, found: binaries.major })
        };
    }
    delete_drafts(place);
    // A name of its own: the initdb of a killed hifi may still be clearing up after itself.
    let draft = place.root.join(format!("data.init.{}", std::process::id()));
    let mut initdb = guard::command(guard_exe, identity, &binaries.program("initdb"));
    initdb.arg("-D").arg(&draft).args(["-U", USER, "-E", "UTF8", "--locale=C", "--locale-provider=libc"]);
    initdb.args(["--auth-local=trust", "--auth-host=reject"]);
    if ephemeral {
        initdb.arg("--no-sync");
    }
    let output = initdb.stdin(Stdio::null()).output().map_err(PostgresError::io("run", binaries.program("initdb")))?;
    if !output.status.success() {
        let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        return Err(PostgresError::Init { status: output.status.to_string(), log: super::child::last_lines(&text) });
    }
    fs::rename(&draft, &place.data).map_err(PostgresError::io("rename", &draft))
}

/// What killed starts left. Best effort: a draft that resists is in nobody's way.
fn delete_drafts(place: &Place) {
    let drafts = fs::read_dir(&place.root)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"data.init."));
    drafts.for_each(|draft| drop(fs::remove_dir_all(draft.path())));
}

/// Major version that made the cluster in `data`; `None` when there is none.
pub(super) fn made_by(data: &Path) -> Option<String> {
    fs::read_to_string(data.join("PG_VERSION")).ok().map(|text| text.trim().to_owned())
}
