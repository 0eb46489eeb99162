use super::Context;
use crate::cli::Config as Arguments;
use crate::exit::Failure;
use crate::output::{print, print_json};

pub fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    match arguments {
        Arguments::Check => {
            let config = context.load()?;
            if context.json {
                print_json(&serde_json::json!({ "valid": true }));
            } else {
                let count = |number: usize, one: &str, many: &str| match number {
                    0 => None,
                    1 => Some(format!("1 {one}")),
                    number => Some(format!("{number} {many}")),
                };
                let counts = [
                    count(config.smtp.listeners.len(), "SMTP listener", "SMTP listeners"),
                    count(config.upstreams.len(), "upstream", "upstreams"),
                    count(config.streams.len(), "stream", "streams"),
                    count(config.https.listeners.len(), "HTTPS listener", "HTTPS listeners"),
                    count(config.sites.len(), "site", "sites"),
                ];
                let counts: Vec<String> = counts.into_iter().flatten().collect();
                print(&format!("valid: {}", counts.join(", ")));
            }
        }
        Arguments::Show => print(&context.load()?.to_toml()),
        Arguments::Default => print(pc_config::DEFAULT_TOML),
    }
    Ok(0)
}
