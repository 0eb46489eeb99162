use clap::{Command, CommandFactory};

use crate::cli::{Cli, Help};
use crate::exit::Failure;
use crate::output::{print, print_json};

pub fn run(arguments: &Help) -> Result<u8, Failure> {
    let mut command = Cli::command();
    command.build();
    if arguments.openapi {
        print_json(&pc_web::openapi());
    } else if arguments.markdown {
        print(&markdown(&command));
    } else {
        print(&command.render_long_help().to_string());
    }
    Ok(0)
}

/// Every command with its arguments, made from the definitions that parse them.
fn markdown(command: &Command) -> String {
    let mut text = format!(
        "# Command line\n\nMade by `portcullis help --markdown`; `cargo xtask gen` keeps it up to date.\n\n{}\n\n\
         Exit codes: 0 good; 1 the answer is bad (not patched, check failed); 2 usage; 64 configuration; 70 internal. \
         Every listing takes `--json`; times are RFC 3339.\n",
        command.get_about().map(ToString::to_string).unwrap_or_default()
    );
    for subcommand in command.get_subcommands() {
        describe(subcommand, "portcullis", &mut text);
    }
    text
}

fn describe(command: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        for subcommand in command.get_subcommands() {
            describe(subcommand, &name, text);
        }
        return;
    }
    text.push_str(&format!("\n## {name}\n\n"));
    if let Some(about) = command.get_about() {
        text.push_str(&format!("{about}\n"));
    }
    let own =
        command.get_arguments().filter(|argument| !argument.is_global_set() && argument.get_id() != "help");
    let lines: Vec<String> = own
        .map(|argument| {
            let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            let shown = match (argument.get_long(), value) {
                (Some(long), Some(value)) if argument.get_action().takes_values() => {
                    format!("--{long} {value}")
                }
                (Some(long), _) => format!("--{long}"),
                (None, value) => value.unwrap_or_else(|| argument.get_id().to_string().to_uppercase()),
            };
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            format!("- `{shown}` {help}\n")
        })
        .collect();
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines.concat());
    }
}
