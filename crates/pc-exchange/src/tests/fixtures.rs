use super::*;
use crate::{LineKind, ReceivedLine, evidence_of_message};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    header: String,
    product_expected: Option<String>,
    build_expected: Option<String>,
    category: String,
}

const ROWS: &str = include_str!("../../fixtures/exchange-received-headers.jsonl");

/// Rows whose label is wrong or cannot be kept, by a part of the header, with the reason.
const WRONG_LABELS: &[(&str, Option<&str>, &str)] = &[(
    "Internet Mail Service ( 5.5.2653.19) id <FKGJ9725>",
    Some("5.5.2653.19"),
    "labelled as without a build, but a space before the version does not hide it",
)];

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = ROWS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 406);
    rows
}

fn wrong_label(row: &Row) -> Option<Option<&'static str>> {
    WRONG_LABELS.iter().find(|(part, ..)| row.header.contains(part)).map(|(_, actual, _)| *actual)
}

#[test]
fn every_labelled_build_and_product_is_read_and_no_other_line_gives_a_build() {
    let catalogue = catalogue();
    let mut labelled = 0;
    for row in rows() {
        let line = ReceivedLine::parse(&row.header);
        let expected = wrong_label(&row).unwrap_or(row.build_expected.as_deref());
        assert_eq!(line.build(), expected.map(build), "{}", row.header);
        if let (Some(id), Some(product)) = (line.build(), row.product_expected.as_deref()) {
            let identified = catalogue.identify(id, Form::Smtp).unwrap();
            let name = format!("exchange-{}", identified.floor.product.to_lowercase());
            let is_loose = product == "exchange-5.x" && name == "exchange-5.5";
            assert!(name == product || is_loose, "{name} for {product}: {}", row.header);
            labelled += 1;
        }
    }
    assert_eq!(labelled, 228);
}

#[test]
fn every_wrong_label_still_names_a_row_and_is_wrong() {
    let rows = rows();
    for (part, actual, reason) in WRONG_LABELS {
        let row = rows.iter().find(|row| row.header.contains(part)).unwrap();
        assert_ne!(row.build_expected.as_deref(), *actual, "{reason}");
    }
}

#[test]
fn every_category_is_read_as_its_kind() {
    for row in rows() {
        let kind = ReceivedLine::parse(&row.header).kind;
        let is_right = match row.category.as_str() {
            "exo" | "exo-legacy" | "exo-modern" => kind == LineKind::ExchangeOnline,
            "ims" => matches!(kind, LineKind::InternetMailService(Some(_))),
            "ms-internal" => matches!(kind, LineKind::ExchangeMapi(_) | LineKind::ExchangeSmtp(_)),
            "noid" => kind == LineKind::ExchangeWithoutId,
            "onprem-mapi" => matches!(kind, LineKind::ExchangeMapi(_)),
            "onprem-smtp" => matches!(kind, LineKind::ExchangeSmtp(_) | LineKind::ExchangeMapi(_)),
            "hotmail-smtpsvc" => matches!(kind, LineKind::ExchangeOnline | LineKind::SmtpService),
            smtpsvc if smtpsvc.starts_with("smtpsvc-") => kind == LineKind::SmtpService,
            negative if negative.starts_with("neg-") => kind == LineKind::Other,
            other => panic!("no rule for {other}"),
        };
        assert!(is_right, "{} read as {kind:?}: {}", row.category, row.header);
    }
}

#[test]
fn no_line_of_another_program_is_ever_judged() {
    for row in rows().iter().filter(|row| row.build_expected.is_none() && wrong_label(row).is_none()) {
        let evidence = evidence_of_message(&[row.header.as_str()], &[]);
        assert_eq!(evidence.judged, None, "{}", row.header);
    }
}

#[test]
fn a_labelled_line_made_to_come_from_pickup_or_shadow_redundancy_is_not_judged() {
    for row in rows().iter().filter(|row| row.category == "onprem-smtp") {
        let (_, from_by) = row.header.split_once(" by ").unwrap();
        let pickup = format!("Received: from Pickup by {from_by}");
        let shadow = row.header.replace("Microsoft SMTP Server", "ShadowRedundancy");
        for header in [pickup, shadow] {
            if header.contains("with mapi") {
                continue;
            }
            let evidence = evidence_of_message(&[header.as_str()], &[]);
            assert_eq!(evidence.judged, None, "{header}");
            assert!(matches!(evidence.ignored[0].reason.code, "pickup" | "shadow_redundancy"), "{header}");
        }
    }
}
