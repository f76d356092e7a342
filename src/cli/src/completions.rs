//! `folio completions`: what a shell needs to complete the tool's arguments.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::Tool;
use crate::failure::Failure;
use crate::output;

/// Print what a shell needs to complete the arguments of folio
///
/// Put it where the shell looks for such files: for bash
/// ~/.local/share/bash-completion/completions/folio, for zsh a file _folio in a folder of $fpath, for fish
/// ~/.config/fish/completions/folio.fish.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio completions bash > folio.bash")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        // Into memory first: a reader that goes away is no reason to panic.
        let mut text = Vec::new();
        generate(self.shell, &mut Tool::command(), "folio", &mut text);
        let mut out = output::stdout();
        out.write_all(&text)?;
        out.flush()?;
        Ok(())
    }
}
