use std::io::{self, BufRead, IsTerminal};

use crate::cli::Admin;
use crate::exit::Failure;
use crate::output::print;

pub fn run(arguments: Admin) -> Result<u8, Failure> {
    let Admin::HashPassword = arguments;
    let password = typed()?;
    let hash = pc_web::hash_password(&password).map_err(|error| Failure::usage(error.to_string()))?;
    print(&format!("password_hash = \"{hash}\""));
    Ok(0)
}

/// Twice from a terminal, which shows nothing of it; one line from anywhere else.
fn typed() -> Result<String, Failure> {
    let fault = |error: io::Error| Failure::internal(format!("the password could not be read: {error}"));
    if !io::stdin().is_terminal() {
        return line().map_err(fault);
    }
    let mut texts = Vec::new();
    for prompt in ["Password: ", "Again: "] {
        eprint!("{prompt}");
        let text = pc_net::without_echo(line).and_then(|line| line).map_err(fault)?;
        eprintln!();
        texts.push(text);
    }
    match texts.as_slice() {
        [one, other] if one == other => Ok(one.clone()),
        _ => Err(Failure::usage("the two differ; try again")),
    }
}

fn line() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
