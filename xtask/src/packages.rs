//! The real programs that tests talk to, and how to get them.

use std::process::{Command, Stdio};

use crate::shell;

/// A group of tests that needs programs from outside.
pub struct Group {
    /// The beginning of the tests' names.
    pub tests: &'static str,
    /// Programs that must be there.
    pub programs: &'static [&'static str],
    /// Debian packages that bring them.
    pub packages: &'static [&'static str],
    /// Python packages that bring them, put into a folder below `target`.
    pub python: &'static [&'static str],
    /// Debian packages that would drive others out and are only unpacked, each into a folder below `target`;
    /// `packages` has the libraries they need.
    pub unpacked: &'static [&'static str],
}

/// All groups. The names are modules of `crates/portcullis/tests/it`.
pub const GROUPS: &[Group] = &[
    Group {
        tests: "interop_postfix::",
        programs: &["postfix", "swaks"],
        packages: &["postfix", "swaks", "libnet-ssleay-perl"],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_openssl::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        unpacked: &[],
    },
    Group { tests: "interop_curl::", programs: &["curl"], packages: &["curl"], python: &[], unpacked: &[] },
    Group {
        tests: "interop_tls_check::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_milter::",
        programs: &["rspamd", "clamd", "clamav-milter"],
        packages: &["rspamd", "clamav-daemon", "clamav-milter"],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_dovecot::",
        programs: &["dovecot", "postfix", "swaks", "curl", "python3", "sslscan", "openssl"],
        packages: &[
            "dovecot-imapd",
            "dovecot-pop3d",
            "postfix",
            "swaks",
            "libnet-ssleay-perl",
            "curl",
            "python3",
            "sslscan",
            "openssl",
        ],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_minisign::",
        programs: &["minisign"],
        packages: &["minisign"],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_sslscan::",
        programs: &["sslscan", "openssl"],
        packages: &["sslscan", "openssl"],
        python: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_sslyze::",
        programs: &["python3", "openssl"],
        packages: &["python3-venv", "openssl"],
        python: &["sslyze==6.3.1"],
        unpacked: &[],
    },
    Group {
        tests: "interop_webhook::",
        programs: &["python3"],
        packages: &["python3-venv"],
        python: &["standardwebhooks==1.0.1"],
        unpacked: &[],
    },
    Group {
        tests: "interop_aiosmtpd::",
        programs: &["python3"],
        packages: &["python3-venv"],
        python: &["aiosmtpd==1.4.6"],
        unpacked: &[],
    },
    Group {
        tests: "interop_exim::",
        programs: &["unshare"],
        packages: &["util-linux", "libdb5.3", "libgnutls-dane0", "libidn12", "libnsl2"],
        python: &[],
        unpacked: &["exim4-daemon-light"],
    },
    Group {
        tests: "interop_opensmtpd::",
        programs: &["unshare"],
        packages: &["util-linux", "libdb5.3", "libevent-2.1-7", "libpam0g"],
        python: &[],
        unpacked: &["opensmtpd"],
    },
    Group {
        tests: "browser::",
        programs: &["chromium"],
        packages: &["chromium"],
        python: &[],
        unpacked: &[],
    },
];

/// Installs what is missing where that is allowed. Returns the groups that cannot run, each with
/// the line that says why.
pub fn prepare() -> Vec<(&'static Group, String)> {
    let missing: Vec<&str> = GROUPS
        .iter()
        .filter(|group| !has_programs(group) || group.unpacked.iter().any(|package| !is_unpacked(package)))
        .flat_map(|group| group.packages)
        .copied()
        .collect();
    if !missing.is_empty() {
        install(&missing);
    }
    GROUPS.iter().filter_map(|group| why_not(group).map(|why| (group, why))).collect()
}

fn has_programs(group: &Group) -> bool {
    group.programs.iter().all(|program| shell::has(program))
}

fn why_not(group: &Group) -> Option<String> {
    if !has_programs(group) {
        return Some(format!(
            "needs {}: apt-get install {}",
            group.programs.join(", "),
            group.packages.join(" ")
        ));
    }
    for package in group.python {
        if let Err(error) = python_package(package) {
            return Some(format!("needs {package} from the Python index: {error:#}"));
        }
    }
    for package in group.unpacked {
        if let Err(error) = unpack(package) {
            return Some(format!("needs {package}, unpacked from Debian's archive: {error:#}"));
        }
    }
    if !group.unpacked.is_empty() && !is_root() {
        return Some("needs root, for users and folders that only the program sees".to_owned());
    }
    None
}

fn is_root() -> bool {
    shell::output("id", &["-u"]).is_ok_and(|id| id.trim() == "0")
}

fn unpacked_folder(package: &str) -> std::path::PathBuf {
    shell::root().join("target/debian").join(package)
}

fn is_unpacked(package: &str) -> bool {
    unpacked_folder(package).join("usr/sbin").is_dir()
}

/// Fetches a package and unpacks it, with nothing of it installed.
fn unpack(package: &str) -> anyhow::Result<()> {
    if is_unpacked(package) {
        return Ok(());
    }
    let folder = unpacked_folder(package);
    std::fs::create_dir_all(&folder)?;
    let place = folder.display();
    shell::run(
        "sh",
        &["-c", &format!("cd {place} && apt-get download -qq {package} && dpkg-deb -x {package}_*.deb .")],
    )
}

/// As root or through sudo without a password; quietly not at all otherwise.
fn install(packages: &[&str]) {
    let prefix: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    for arguments in [
        vec!["apt-get", "update"],
        [&["apt-get", "install", "-y", "--no-install-recommends"], packages].concat(),
    ] {
        let words = [prefix, &arguments].concat();
        let Some((program, rest)) = words.split_first() else { return };
        eprintln!("$ {}", words.join(" "));
        let status = Command::new(program)
            .args(rest)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("{} did not work; the tests that need it are skipped", arguments.join(" "));
            return;
        }
    }
}

fn python_package(package: &str) -> anyhow::Result<()> {
    let folder = shell::root().join("target/python");
    let name = package.split("==").next().unwrap_or(package);
    if folder.join("bin").join(name).is_file() {
        return Ok(());
    }
    let folder = folder.display().to_string();
    shell::run("python3", &["-m", "venv", &folder])?;
    shell::run(&format!("{folder}/bin/pip"), &["install", "--quiet", package])
}
