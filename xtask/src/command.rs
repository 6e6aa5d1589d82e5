//! Running programs from the repository's root.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cargo that runs this task, in the repository's root.
pub fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments.split_whitespace()).current_dir(root());
    command
}

/// Runs a command to its end, and says which it is; gives its exit code.
pub fn run_to_exit_code(command: &mut Command) -> Result<i32> {
    eprintln!("\n$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start: {}", shown(command)))?;
    status.code().with_context(|| format!("failed ({status}): {}", shown(command)))
}

/// Runs a command, which must succeed, and says which it is.
pub fn run(command: &mut Command) -> Result<()> {
    let code = run_to_exit_code(command)?;
    ensure!(code == 0, "failed (exit code {code}): {}", shown(command));
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
