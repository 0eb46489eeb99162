use serde_json::{Map, Value, json};

/// Method, path, what it does, query or body fields.
pub(crate) const ROUTES: &[(&str, &str, &str, &[&str])] = &[
    ("get", "/api/v1/attestations", "What owners attest of their servers, beside what mail shows", &[]),
    (
        "post",
        "/api/v1/attestations",
        "Take an attestation in by hand, as the script wrote it into a file up to a day ago",
        &["format", "tenant", "host", "build", "time", "nonce", "signature"],
    ),
    ("get", "/api/v1/audit", "Changes made, newest first", &[]),
    ("post", "/api/v1/catalog/reload", "Take the catalogue anew from disk and judge all servers by it", &[]),
    ("get", "/api/v1/notices", "Who was told what by mail and by webhook, newest first", &["subject"]),
    ("get", "/api/v1/pauses", "Pauses and stops of the ladder, newest first", &[]),
    (
        "post",
        "/api/v1/pauses",
        "Pause the ladder for a tenant; without from it begins now, or after the one that runs",
        &["tenant", "days", "from", "reason", "owner"],
    ),
    ("get", "/api/v1/pauses/quota", "What each tenant has left of a calendar year's pause days", &["year"]),
    ("delete", "/api/v1/pauses/{id}", "End a pause or a stop; unused days go back to the budget", &[]),
    ("get", "/api/v1/preview", "What the ladder will do, to whom and when", &["days", "now"]),
    ("get", "/api/v1/report", "The out-of-date server report", &["format"]),
    ("get", "/api/v1/servers", "All sending servers, the most severe first", &[]),
    ("get", "/api/v1/servers/{id}", "One server with ladder, evidence, history and what it lacks", &[]),
    ("delete", "/api/v1/servers/{id}", "Forget a server", &[]),
    (
        "put",
        "/api/v1/servers/{id}/exemption",
        "Let a server through for a time",
        &["reason", "owner", "until"],
    ),
    ("delete", "/api/v1/servers/{id}/exemption", "End an exemption", &[]),
    (
        "get",
        "/api/v1/sites",
        "Sites of the web edge, the health of the servers behind, their certificates",
        &[],
    ),
    ("get", "/api/v1/spool", "Spooled messages, oldest first, and the targets they wait for", &[]),
    ("get", "/api/v1/spool/{id}", "One spooled message with its envelope", &[]),
    ("delete", "/api/v1/spool/{id}", "Remove a spooled message for good", &[]),
    ("post", "/api/v1/spool/{id}/hold", "Hold a spooled message", &[]),
    ("post", "/api/v1/spool/{id}/release", "Give a held message, or one set aside, back to be tried", &[]),
    ("post", "/api/v1/spool/{id}/retry", "The same, and ask its target at once", &[]),
    ("post", "/api/v1/targets/{id}/hold", "Hold all mail for a target; new mail for it is spooled", &[]),
    ("post", "/api/v1/targets/{id}/release", "End a target's hold", &[]),
    ("post", "/api/v1/targets/{id}/retry", "Try all mail for a target at once", &[]),
    ("get", "/api/v1/status", "The node in a few figures", &[]),
    ("post", "/api/v1/stop", "Stop the ladder for everybody, until the stop is ended", &["reason", "owner"]),
    (
        "get",
        "/api/v1/tls/clients",
        "Clients that the TLS standard refused, or would have refused, last seen first, with a guess what each is",
        &[
            "ip", "refusal", "version", "name", "ja4", "suite", "product", "since", "until", "fitting",
            "limit",
        ],
    ),
    (
        "get",
        "/api/v1/web/tally",
        "What the web edge refused in some days, or would have: requests by code, virtual patches by rule, for each site",
        &["days"],
    ),
    ("get", "/api/v1/tls/summary", "The same of some days, summed up by site of the web edge", &["days"]),
    (
        "get",
        "/api/v1/trace",
        "Transactions, newest first; next is the cursor of what follows, also when no row fits so far",
        &["from", "to", "ip", "id", "server", "outcome", "since", "until", "cursor", "limit"],
    ),
    ("get", "/api/v1/trace/{id}", "One transaction with its steps", &[]),
    ("get", "/api/v1/webhooks", "Webhooks, how much waits for each, and which are disabled", &[]),
    (
        "post",
        "/api/v1/webhooks/{id}/test",
        "Send a signed webhook.test; a receiver that takes it is enabled again",
        &[],
    ),
];

/// The API as OpenAPI 3.1.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for (method, path, summary, fields) in ROUTES {
        let operation = operation(method, path, summary, fields);
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert((*method).to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Read-only on the admin address; changes go through the Unix socket admin.sock in the data folder. \
                            Times are RFC 3339.",
        },
        "paths": paths,
        "components": { "schemas": { "Problem": {
            "type": "object",
            "required": ["error", "message"],
            "properties": {
                "error": { "type": "string", "description": "a stable word" },
                "message": { "type": "string", "description": "one sentence with the remedy" },
            },
        }}},
    })
}

fn operation(method: &str, path: &str, summary: &str, fields: &[&str]) -> Value {
    let problem = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        })
    };
    let mut parameters = Vec::new();
    if path.contains("{id}") {
        parameters
            .push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    if method == "get" {
        let query = fields.iter();
        parameters
            .extend(query.map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } })));
    }
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "done", "content": { "application/json": {} } },
            "400": problem("a field is wrong; the message says which"),
            "404": problem("there is no such server or transaction"),
            "500": problem("the database could not be read or written"),
        },
    });
    if let Some(object) = operation.as_object_mut()
        && method != "get"
    {
        if let Some(responses) = object.get_mut("responses").and_then(Value::as_object_mut) {
            responses.insert("403".to_owned(), problem("not over TCP"));
        }
        if !fields.is_empty() {
            let properties: Map<String, Value> =
                fields.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
            let schema = json!({ "type": "object", "required": fields, "properties": properties });
            object.insert(
                "requestBody".to_owned(),
                json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
            );
        }
    }
    operation
}
