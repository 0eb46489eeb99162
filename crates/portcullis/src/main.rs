//! The binary; everything is in the library, so that tests can run a node under a clock of theirs.

fn main() -> std::process::ExitCode {
    portcullis::run_command_line()
}
