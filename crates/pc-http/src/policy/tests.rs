use super::*;

fn policy() -> PathPolicy {
    let network = Network { address: "192.0.2.0".parse().unwrap(), prefix: 24 };
    PathPolicy {
        open: DEFAULT_OPEN.to_vec(),
        exceptions: vec![(Directory::Ecp, vec![network])],
        internal: vec![network],
    }
}

fn decide_for(method: &str, path: &str, client: &str) -> PathDecision {
    let normal = NormalPath::new(path, None).unwrap();
    decide(&policy(), &normal, path, method, client.parse().unwrap())
}

fn get(path: &str) -> PathDecision {
    decide_for("GET", path, "2001:db8::1")
}

#[test]
fn only_named_directories_are_open() {
    assert_eq!(get("/"), PathDecision::ToOwa);
    assert_eq!(get("/OWA/auth/logon.aspx"), PathDecision::Forward(Directory::Owa));
    for path in ["/aspnet_client/", "/PushNotifications/x", "/rpcwithcert/", "/owa2/", "/iisstart.htm"] {
        assert_eq!(get(path), PathDecision::Closed("path_no_directory"), "{path}");
    }
    for path in ["/PowerShell/", "/powershell-liveid/", "/api/v2.0/me", "/ecp/"] {
        assert!(matches!(get(path), PathDecision::Closed(_)), "{path}");
    }
}

#[test]
fn a_path_that_reads_in_two_ways_is_closed() {
    for path in [
        "/x/../owa/",
        "/%6fwa/",
        "//owa/",
        "/owa;x/",
        "/./owa/",
        "/powershell/../owa/",
        "/powershell%2f..%2fowa/",
    ] {
        assert_eq!(get(path), PathDecision::Closed("path_two_readings"), "{path}");
    }
}

#[test]
fn networks_of_the_operator_reach_more() {
    assert_eq!(decide_for("GET", "/ecp/", "192.0.2.7"), PathDecision::Forward(Directory::Ecp));
    for path in ["/owa/healthcheck.htm", "/EWS/mrsproxy.svc", "/ews/%6drsproxy.svc", "/owa/./healthcheck.htm"]
    {
        assert_eq!(get(path), PathDecision::Closed("path_internal"), "{path}");
        let inside = decide_for("GET", path, "192.0.2.7");
        assert!(matches!(inside, PathDecision::Forward(_)), "{path}");
    }
}

#[test]
fn each_directory_has_its_methods() {
    for (method, path, fits) in [
        ("POST", "/ews/exchange.asmx", true),
        ("PROPFIND", "/ews/exchange.asmx", false),
        ("TRACE", "/owa/", false),
        ("CONNECT", "/owa/", false),
        ("PUT", "/owa/x", false),
        ("RPC_IN_DATA", "/rpc/rpcproxy.dll", true),
        ("RPC_IN_DATA", "/owa/", false),
        ("GET", "/Microsoft-Server-ActiveSync", false),
        ("POST", "/Microsoft-Server-ActiveSync", true),
        ("POST", "/oab/x", false),
        ("POST", "/", false),
    ] {
        let decision = decide_for(method, path, "2001:db8::1");
        assert_eq!(decision != PathDecision::MethodNotAllowed, fits, "{method} {path}");
    }
}

#[test]
fn operators_read_the_health_of_each_directory_whatever_its_methods_are() {
    let path = "/Microsoft-Server-ActiveSync/healthcheck.htm";
    assert_eq!(decide_for("GET", path, "192.0.2.7"), PathDecision::Forward(Directory::ActiveSync));
    assert_eq!(decide_for("PUT", path, "192.0.2.7"), PathDecision::MethodNotAllowed);
    assert_eq!(get(path), PathDecision::Closed("path_internal"));
}
