use pc_types::{Domain, Escaped};

use crate::limits::TEXT_OCTETS_MAX;
use crate::notice::Notice;

/// Subject and text of the mail that tells the operator what is amiss with the catalogue.
pub fn catalogue_digest(node_name: &Domain, notices: &[&Notice]) -> (String, String) {
    let subject = format!("{node_name}: the catalogue is not up to date");
    let mut text = format!(
        "What {node_name} knows of Exchange builds and their vulnerabilities could not be brought up to date. The data in use\n\
         stay as they are: servers are judged by them, and updates that came out since are not asked for.\n"
    );
    for notice in notices {
        match notice {
            Notice::CatalogueRefused { source, error, at, .. } => {
                let error = Escaped::with_octets_max(error, TEXT_OCTETS_MAX);
                text.push_str(&format!("\n{at:.0}  {}\n    {error}\n", Escaped::new(source)));
            }
            Notice::CatalogueStale { as_of, days, at } => {
                text.push_str(&format!("\n{at:.0}  the newest fact is of {as_of}, {days} days old\n"));
            }
            _ => {}
        }
    }
    text.push_str(
        "\nA source that failed is tried again each hour. What you can do on the node:\n\
         \x20   portcullis catalog check        how old the data are\n\
         \x20   portcullis catalog update       fetch the sources of [catalog] now, and see what they say\n\
         \x20   portcullis catalog import FILE  take a feed or a signed bundle from a file\n",
    );
    (subject, text)
}
