use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn doer(number: u32) -> Doer<'static> {
    let bits = u32::from_be_bytes([10, 0, 0, 0]) + number;
    Doer { network: IpAddr::V4(bits.into()), connector: "default", tenant: None }
}

fn client(client: Rates) -> Quotas {
    Quotas::new(QuotaLimits { client, ..QuotaLimits::default() })
}

#[test]
fn the_whole_amount_may_come_at_once_and_then_room_grows_evenly() {
    let mut quotas = client(Rates { messages: 60, ..Rates::default() });
    for _ in 0..60 {
        quotas.take(doer(1), Measure::Messages, at(0)).unwrap();
    }
    let exceeded = quotas.take(doer(1), Measure::Messages, at(0)).unwrap_err();
    assert_eq!((exceeded.scope, exceeded.wait), (Scope::Client, Duration::from_secs(60)));
    assert_eq!(exceeded.text(), "too many messages from your address, please come back in 61 seconds");
    assert!(quotas.take(doer(2), Measure::Messages, at(0)).is_ok(), "others are not concerned");
    quotas.take(doer(1), Measure::Messages, at(60)).unwrap();
    assert!(quotas.take(doer(1), Measure::Messages, at(60)).is_err());
    for _ in 0..60 {
        quotas.take(doer(1), Measure::Messages, at(60 + 3_600)).unwrap();
    }
}

#[test]
fn what_is_refused_does_not_prolong_the_wait() {
    let mut quotas = client(Rates { connections: 1, ..Rates::default() });
    quotas.take(doer(1), Measure::Connections, at(0)).unwrap();
    for second in 0..60 {
        assert!(quotas.take(doer(1), Measure::Connections, at(second)).is_err());
    }
    quotas.take(doer(1), Measure::Connections, at(60)).unwrap();
}

#[test]
fn nothing_is_kept_where_there_is_no_limit() {
    let mut quotas = Quotas::new(QuotaLimits::default());
    for number in 0..1_000 {
        for measure in Measure::ALL {
            quotas.take(doer(number), measure, at(0)).unwrap();
        }
    }
    assert!(quotas.clients.is_empty() && quotas.connectors.is_empty());
}

#[test]
fn the_connector_and_everybody_together_have_their_own_limits() {
    let three = Rates { recipients: 3, ..Rates::default() };
    let five = Rates { recipients: 5, ..Rates::default() };
    let mut quotas = Quotas::new(QuotaLimits { connector: three, overall: five, ..QuotaLimits::default() });
    let mut take = |number, connector| {
        quotas
            .take(Doer { connector, ..doer(number) }, Measure::Recipients, at(0))
            .map_err(|error| error.scope)
    };
    for number in 0..3 {
        assert_eq!(take(number, "one"), Ok(()));
    }
    assert_eq!(take(4, "one"), Err(Scope::Connector));
    assert_eq!(take(4, "two"), Ok(()), "what one connector was refused costs the others nothing");
    assert_eq!(take(5, "two"), Ok(()));
    assert_eq!(take(6, "two"), Err(Scope::Overall));
}

#[test]
fn errors_of_one_client_turn_nobody_else_away() {
    let one = Rates { errors: 1, unknown_recipients: 1, ..Rates::default() };
    let mut quotas = Quotas::new(QuotaLimits { client: one, connector: one, tenant: one, overall: one });
    for measure in [Measure::Errors, Measure::UnknownRecipients] {
        quotas.charge(doer(1), measure, 100, at(0));
        assert!(quotas.room(doer(1), measure, at(0)).is_err());
        assert!(quotas.room(doer(2), measure, at(0)).is_ok());
    }
}

#[test]
fn a_single_huge_message_shuts_a_client_out_for_an_hour_at_most() {
    let mut quotas = client(Rates { octets: 1_000_000, ..Rates::default() });
    quotas.charge(doer(1), Measure::Octets, u64::MAX, at(0));
    assert!(quotas.room(doer(1), Measure::Octets, at(3_600)).is_err());
    assert!(quotas.room(doer(1), Measure::Octets, at(3_601)).is_ok());
}

#[test]
fn octets_count_finely() {
    let mut quotas = client(Rates { octets: 100_000_000_000, ..Rates::default() });
    for _ in 0..1_000 {
        quotas.charge(doer(1), Measure::Octets, 100_000_000, at(0));
    }
    assert!(quotas.room(doer(1), Measure::Octets, at(0)).is_err());
    assert!(quotas.room(doer(1), Measure::Octets, at(1)).is_ok());
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let mut quotas = client(Rates { messages: 1, ..Rates::default() });
    quotas.take(doer(1), Measure::Messages, at(86_400 * 365)).unwrap();
    let wait = quotas.room(doer(1), Measure::Messages, at(0)).unwrap_err().wait;
    assert!(wait <= Duration::from_secs(7_200), "{wait:?}");
}

#[test]
fn an_offender_is_not_forgotten_for_any_number_of_clean_clients() {
    let mut quotas = client(Rates { connections: 100, errors: 10, ..Rates::default() });
    quotas.clients_max = 50;
    quotas.charge(doer(0), Measure::Errors, 10, at(0));
    for number in 1..10_000 {
        quotas.take(doer(number), Measure::Connections, at(i64::from(number) / 100)).unwrap();
        assert!(quotas.clients.len() <= 50);
        assert_eq!(quotas.clients.len(), quotas.recoveries.len());
    }
    assert!(quotas.room(doer(0), Measure::Errors, at(100)).is_err());
}

#[test]
fn a_table_full_of_offenders_locks_no_newcomer_out() {
    let mut quotas = client(Rates { connections: 2, errors: 10, ..Rates::default() });
    quotas.clients_max = 50;
    for number in 0..60 {
        quotas.charge(doer(number), Measure::Errors, 10 + u64::from(number), at(0));
    }
    assert!(quotas.room(doer(59), Measure::Errors, at(0)).is_err(), "the worst is remembered");
    quotas.take(doer(1_000), Measure::Connections, at(0)).unwrap();
    assert!(quotas.room(doer(59), Measure::Errors, at(0)).is_err());
    assert_eq!(quotas.clients.len(), 50);
}

#[test]
fn no_window_of_two_periods_passes_more_than_three_times_the_amount() {
    // A full burst, then the steady rate: the bound of the algorithm, whatever the pattern.
    for step in [1, 7, 61, 599] {
        let mut quotas = client(Rates { messages: 20, ..Rates::default() });
        let passed = (0..7_200_i64)
            .step_by(step)
            .filter(|second| (0..5).any(|_| quotas.take(doer(1), Measure::Messages, at(*second)).is_ok()));
        assert!(passed.count() <= 60, "{step}");
    }
}

#[test]
fn the_connectors_of_a_tenant_share_its_limit_and_nobody_elses() {
    let three = Rates { commands: 3, ..Rates::default() };
    let mut quotas = Quotas::new(QuotaLimits { tenant: three, ..QuotaLimits::default() });
    let mut take = |connector, tenant| {
        quotas
            .take(Doer { connector, tenant, ..doer(1) }, Measure::Commands, at(0))
            .map_err(|full| full.scope)
    };
    for connector in ["a", "b", "a"] {
        assert_eq!(take(connector, Some("example")), Ok(()));
    }
    assert_eq!(take("b", Some("example")), Err(Scope::Tenant));
    assert_eq!(take("c", Some("other")), Ok(()));
    for _ in 0..10 {
        assert_eq!(take("default", None), Ok(()), "nobody's limit holds for those without a tenant");
    }
}
