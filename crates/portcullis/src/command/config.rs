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
                let listeners = config.smtp.listeners.len();
                print(&format!(
                    "valid: {listeners} SMTP listeners, {} servers behind",
                    config.upstreams.len()
                ));
            }
        }
        Arguments::Show => print(&context.load()?.to_toml()),
        Arguments::Default => print(pc_config::DEFAULT_TOML),
    }
    Ok(0)
}
