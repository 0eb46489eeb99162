//! A configuration as TOML.

use crate::{
    BlockReply, Config, Directory, Domains, EnforcementMode, ListenerTls, LogFormat, Milter, MilterAddress,
    MilterFailure, Network, OcspStapling, RolloutStep, Site, Smtp, Spool, SpoolMode, Upstream, UpstreamHost,
    UpstreamTarget, UpstreamTls,
};

pub(crate) fn config(config: &Config) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line("[node]".into());
    line(format!("name = {}", quoted(config.node.name.as_str())));
    line(format!("data = {}", quoted(&config.node.data)));
    line("\n[tls]".into());
    let pairs = config.tls.certificates.iter();
    let pairs =
        pairs.map(|pair| format!("{{ chain = {}, key = {} }}", quoted(&pair.chain), quoted(&pair.key)));
    line(format!("certificates = [{}]", pairs.collect::<Vec<_>>().join(", ")));
    let stapling = match config.tls.ocsp_stapling {
        OcspStapling::Off => "off",
        OcspStapling::On => "on",
    };
    line(format!("ocsp_stapling = \"{stapling}\""));
    line(format!("ocsp_allow_networks = [{}]", networks(&config.tls.ocsp_allow_networks)));
    if let Some(acme) = &config.tls.acme {
        line(crate::acme::render(acme));
    }
    // Without a listener the section is a mistake.
    if !config.smtp.listeners.is_empty() {
        line(smtp(&config.smtp));
    }
    for upstream in &config.upstreams {
        line(format!("\n[[upstream]]\nname = {}", quoted(&upstream.name)));
        let domains = match &upstream.domains {
            Domains::All => quoted("*"),
            Domains::Listed(domains) => list(domains.iter().map(|domain| quoted(domain.as_str()))),
        };
        line(format!("domains = [{domains}]"));
        line(target(&upstream.target) + &recipients(upstream));
    }
    for tenant in &config.tenants {
        line(format!("\n[[tenant]]\nname = {}\nesu = {}", quoted(&tenant.name), tenant.esu));
        line(format!("contacts = [{}]", list(tenant.contacts.iter().map(|contact| quoted(contact)))));
        line(format!("language = \"{}\"", tenant.language.tag()));
        if let Some(path) = &tenant.attestation_key_file {
            line(format!("attestation_key_file = {}", quoted(path)));
        }
    }
    config.streams.iter().map(crate::stream::render).for_each(&mut line);
    config.connectors.iter().map(crate::connector::to_toml).for_each(&mut line);
    line(spool(&config.spool));
    config.milters.iter().map(milter).for_each(&mut line);
    line(crate::dns::to_toml(&config.dns, &config.dns_lists));
    line(enforcement(config));
    config.enforcement.rollout.iter().map(rollout_step).for_each(&mut line);
    line(https(config));
    config.sites.iter().map(site).for_each(&mut line);
    line(crate::catalog::to_toml(&config.catalog, quoted));
    line(crate::notify::to_toml(&config.notify, quoted));
    line(format!("\n[admin]\naddress = \"{}\"", config.admin.address));
    for user in &config.admin.users {
        let (name, hash) = (quoted(&user.name), quoted(&user.password_hash));
        line(format!("\n[[admin.user]]\nname = {name}\npassword_hash = {hash}"));
    }
    line("\n[store]".into());
    if let Some(path) = &config.store.path {
        line(format!("path = {}", quoted(path)));
    }
    line(format!("trace_days = {}", config.store.trace_days));
    line(format!("trace_max_megabytes = {}", config.store.trace_max_megabytes));
    line(format!("free_space_min_megabytes = {}", config.store.free_space_min_megabytes));
    let log = match config.telemetry.log {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    line(format!("\n[telemetry]\nlog = \"{log}\"\nlevel = {}", quoted(&config.telemetry.level)));
    out
}

fn target(target: &UpstreamTarget) -> String {
    let target = match target {
        UpstreamTarget::Maildir { path } => return format!("maildir = {}", quoted(path)),
        UpstreamTarget::Smtp(target) => target,
    };
    let tls = match target.tls {
        UpstreamTls::Implicit => "implicit",
        UpstreamTls::None => "none",
        UpstreamTls::StartTls => "starttls",
    };
    let mut text = format!("hosts = [{}]\ntls = \"{tls}\"\n", host_list(&target.hosts));
    if let Some(path) = &target.ca_file {
        text.push_str(&format!("ca_file = {}\n", quoted(path)));
    }
    text.push_str(&format!(
        "connections_max = {}\nconnect_timeout_seconds = {}\ncommand_timeout_seconds = {}\nhealth_check_seconds = {}",
        target.connections_max,
        target.connect_timeout_seconds,
        target.command_timeout_seconds,
        target.health_check_seconds,
    ));
    text
}

/// The entries of `hosts`.
pub(crate) fn host_list(hosts: &[UpstreamHost]) -> String {
    list(hosts.iter().map(|host| {
        let pin = host.certificate_sha256.as_ref();
        let pin =
            pin.map_or_else(String::new, |pin| format!(", certificate_sha256 = \"{}\"", pc_types::hex(pin)));
        format!(
            "{{ host = {}, port = {}, priority = {}, tls_name = {}{pin} }}",
            quoted(&host.host),
            host.port,
            host.priority,
            quoted(&host.tls_name),
        )
    }))
}

pub(crate) fn networks(networks: &[Network]) -> String {
    list(networks.iter().map(|network| format!("\"{network}\"")))
}

fn smtp(smtp: &Smtp) -> String {
    let mut text = format!(
        "\n[smtp]\nmessage_size_max_bytes = {}\nrecipients_max = {}\nconnections_max = {}\nconnections_per_address_max = {}\n\
         drain_seconds = {}\ngreeting_delay_seconds = {}\nmessage_memory_max_megabytes = {}\n",
        smtp.message_size_max_bytes,
        smtp.recipients_max,
        smtp.connections_max,
        smtp.connections_per_address_max,
        smtp.drain_seconds,
        smtp.greeting_delay_seconds,
        smtp.message_memory_max_megabytes,
    );
    if let Some(path) = &smtp.client_ca_file {
        text.push_str(&format!("client_ca_file = {}\n", quoted(path)));
    }
    text.push_str(&crate::rates::render(&smtp.limits));
    for listener in &smtp.listeners {
        let tls = match listener.tls {
            ListenerTls::Implicit => "implicit",
            ListenerTls::StartTls => "starttls",
        };
        text.push_str(&format!(
            "\n\n[[smtp.listener]]\naddress = \"{}\"\ntls = \"{tls}\"\nproxy_protocol_from = [{}]",
            listener.address,
            networks(&listener.proxy_protocol_from)
        ));
    }
    text
}

fn https(config: &Config) -> String {
    let settings = &config.https;
    let mut text = format!(
        "\n[https]\nconnections_max = {}\nconnections_per_address_max = {}\nconnections_per_minute = {}\ndrain_seconds = {}\nhsts_max_age_seconds = {}\n\
         hsts_include_subdomains = {}\nhsts_preload = {}\npatches = \"{}\"\npatches_report_only = [{}]\n\
         response_fields_kept = [{}]\nforwarded_for_from = [{}]",
        settings.connections_max,
        settings.connections_per_address_max,
        settings.connections_per_minute,
        settings.drain_seconds,
        settings.hsts_max_age_seconds,
        settings.hsts_include_subdomains,
        settings.hsts_preload,
        settings.patches.as_str(),
        list(settings.patches_report_only.iter().map(|id| quoted(id))),
        list(settings.response_fields_kept.iter().map(|name| quoted(name))),
        networks(&settings.forwarded_for_from),
    );
    for (key, value) in
        [("rule_pack", &settings.rule_pack), ("rule_pack_public_key", &settings.rule_pack_public_key)]
    {
        if let Some(value) = value {
            text.push_str(&format!("\n{key} = {}", quoted(value)));
        }
    }
    for (key, listeners) in [
        ("listener", &settings.listeners),
        ("redirect", &settings.redirects),
        ("client_test", &settings.client_tests),
    ] {
        for listener in listeners {
            text.push_str(&format!(
                "\n\n[[https.{key}]]\naddress = \"{}\"\nproxy_protocol_from = [{}]",
                listener.address,
                networks(&listener.proxy_protocol_from)
            ));
        }
    }
    for policy in &settings.mta_sts {
        text.push_str(&format!(
            "\n\n[[https.mta_sts]]\ndomain = {}\nmode = \"{}\"\nmx = [{}]\nmax_age_seconds = {}",
            quoted(policy.domain.as_str()),
            policy.mode.as_str(),
            list(policy.mx.iter().map(|host| quoted(host))),
            policy.max_age_seconds,
        ));
    }
    text
}

fn site(site: &Site) -> String {
    let directories = |directories: &[Directory]| {
        list(directories.iter().map(|directory| format!("\"{}\"", directory.as_str())))
    };
    let exceptions = site.exceptions.iter().map(|exception| {
        format!(
            "{{ directories = [{}], networks = [{}] }}",
            directories(&exception.directories),
            networks(&exception.networks)
        )
    });
    let mut text = format!(
        "\n[[site]]\nname = {}\nnames = [{}]\nhosts = [{}]\nconnect_timeout_seconds = {}\nhealth_check_seconds = {}\n\
         open = [{}]\nexceptions = [{}]\ninternal = [{}]\nhttp2 = {}\n\
         activesync_windows_logins = {}",
        quoted(&site.name),
        list(site.names.iter().map(|name| quoted(name.as_str()))),
        host_list(&site.hosts),
        site.connect_timeout_seconds,
        site.health_check_seconds,
        directories(&site.open),
        list(exceptions),
        networks(&site.internal),
        site.http2,
        site.activesync_windows_logins,
    );
    if let Some(path) = &site.ca_file {
        text.push_str(&format!("\nca_file = {}", quoted(path)));
    }
    if let Some(mode) = site.patches {
        text.push_str(&format!("\npatches = \"{}\"", mode.as_str()));
    }
    if !site.rules.is_empty() {
        let rules = site.rules.iter().map(|(id, mode)| format!("{} = \"{}\"", quoted(id), mode.as_str()));
        text.push_str(&format!("\nrules = {{ {} }}", list(rules)));
    }
    text
}

/// The lines of an upstream about its recipients. What has no meaning there is not written: it would be refused.
fn recipients(upstream: &Upstream) -> String {
    let settings = &upstream.recipients;
    let mut text = String::new();
    if let Some(path) = &settings.file {
        text.push_str(&format!("\nrecipients_file = {}", quoted(path)));
    } else if matches!(upstream.target, UpstreamTarget::Smtp(_)) {
        text.push_str(&format!(
            "\nrecipients_cache_positive_minutes = {}\nrecipients_cache_negative_minutes = {}",
            settings.cache_positive_minutes, settings.cache_negative_minutes
        ));
    }
    if let Some(character) = settings.subaddress {
        text.push_str(&format!("\nrecipients_subaddress = \"{character}\""));
    }
    text
}

fn spool(settings: &Spool) -> String {
    let mode = match settings.mode {
        SpoolMode::Always => "always",
        SpoolMode::Off => "off",
        SpoolMode::WhenDown => "when_down",
    };
    let via = settings
        .reports_via
        .as_ref()
        .map_or_else(String::new, |name| format!("\nreports_via = {}", quoted(name)));
    format!(
        "\n[spool]\nmode = \"{mode}\"\nexpire_hours = {}\ndelay_report_hours = {}\nparallel_max = {}\n\
         size_max_megabytes = {}{via}",
        settings.expire_hours,
        settings.delay_report_hours,
        settings.parallel_max,
        settings.size_max_megabytes
    )
}

fn milter(milter: &Milter) -> String {
    let address = match &milter.address {
        MilterAddress::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        MilterAddress::Tcp { host, port } => format!("{host}:{port}"),
        MilterAddress::Unix { path } => format!("unix:{path}"),
    };
    let on_failure = match milter.on_failure {
        MilterFailure::Accept => "accept",
        MilterFailure::Defer => "defer",
    };
    format!(
        "\n[[milter]]\nname = {}\naddress = {}\ntimeout_seconds = {}\non_failure = \"{on_failure}\"",
        quoted(&milter.name),
        quoted(&address),
        milter.timeout_seconds,
    )
}

fn enforcement(config: &Config) -> String {
    let settings = &config.enforcement;
    let reply = match settings.block_reply {
        BlockReply::Permanent => "5xx",
        BlockReply::Temporary => "4xx",
    };
    let self_test = settings.self_test.as_ref();
    let self_test =
        self_test.map_or_else(String::new, |address| format!("\nself_test = {}", quoted(address)));
    let link = settings.link.as_ref().map_or_else(String::new, |link| format!("\nlink = {}", quoted(link)));
    format!(
        "\n[enforcement]\nmode = \"{}\"\nschedule_days = {:?}\nthrottle_minutes = {:?}\nblock_minutes = {:?}\n\
         block_reply = \"{reply}\"\nfloor = \"{}\"\ngrace_days = {}\nopen_sightings = {}\nopen_hours = {}\ndecay_days = {}\nprobe_interval_minutes = {}{self_test}{link}{}",
        mode_word(settings.mode),
        settings.schedule_days,
        settings.throttle_minutes,
        settings.block_minutes,
        settings.floor,
        settings.grace_days,
        settings.open_sightings,
        settings.open_hours,
        settings.decay_days,
        settings.probe_interval_minutes,
        crate::floors::to_toml(&config.floors),
    )
}

fn rollout_step(step: &RolloutStep) -> String {
    format!(
        "\n[[enforcement.rollout]]\nproducts = [{}]\nkinds = [{}]\nfrom = \"{}\"",
        list(step.products.iter().map(|product| quoted(product))),
        list(step.kinds.iter().map(|kind| format!("\"{}\"", kind.as_str()))),
        step.from,
    )
}

pub(crate) fn mode_word(mode: EnforcementMode) -> &'static str {
    match mode {
        EnforcementMode::Enforce => "enforce",
        EnforcementMode::Off => "off",
        EnforcementMode::Report => "report",
    }
}

pub(crate) fn list(entries: impl Iterator<Item = String>) -> String {
    entries.collect::<Vec<_>>().join(", ")
}

/// A basic string, TOML 1.1.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            character if character.is_control() => {
                out.push_str(&format!("\\U{:08x}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
