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
    /// Packages of npm, put into a folder below `target`; `programs` has `npm`.
    pub npm: &'static [&'static str],
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
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_nmap::",
        programs: &["nmap"],
        packages: &["nmap"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_ntlm::",
        programs: &["python3", "curl", "openssl"],
        packages: &["python3-venv", "curl", "openssl"],
        python: &["pyspnego==0.12.4", "requests-ntlm==1.3.0", "exchangelib==5.6.0"],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_attestation::",
        programs: &["curl", "openssl", "python3"],
        packages: &["curl", "openssl", "python3"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "ocsp::tests::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_ocsp::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_openssl::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_pebble::",
        programs: &["pebble"],
        packages: &["pebble"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_curl::",
        programs: &["curl"],
        packages: &["curl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_tls_check::",
        programs: &["openssl"],
        packages: &["openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_http2::",
        programs: &["python3", "curl", "h2load"],
        packages: &["python3-venv", "curl", "nghttp2-client"],
        python: &["h2==4.4.1"],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_milter::",
        programs: &["rspamd", "clamd", "clamav-milter"],
        packages: &["rspamd", "clamav-daemon", "clamav-milter"],
        python: &[],
        npm: &[],
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
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_minisign::",
        programs: &["minisign"],
        packages: &["minisign"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_sslscan::",
        programs: &["sslscan", "openssl"],
        packages: &["sslscan", "openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_sslyze::",
        programs: &["python3", "openssl"],
        packages: &["python3-venv", "openssl"],
        python: &["sslyze==6.3.1"],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_testssl::",
        programs: &["testssl", "hexdump", "openssl"],
        packages: &["testssl.sh", "bsdextrautils", "openssl"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_webhook::",
        programs: &["python3"],
        packages: &["python3-venv"],
        python: &["standardwebhooks==1.0.1"],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_aiosmtpd::",
        programs: &["python3"],
        packages: &["python3-venv"],
        python: &["aiosmtpd==1.4.6"],
        npm: &[],
        unpacked: &[],
    },
    Group {
        tests: "interop_exim::",
        programs: &["unshare"],
        packages: &["util-linux", "libdb5.3", "libgnutls-dane0", "libidn12", "libnsl2"],
        python: &[],
        npm: &[],
        unpacked: &["exim4-daemon-light"],
    },
    Group {
        tests: "interop_opensmtpd::",
        programs: &["unshare"],
        packages: &["util-linux", "libdb5.3", "libevent-2.1-7", "libpam0g"],
        python: &[],
        npm: &[],
        unpacked: &["opensmtpd"],
    },
    Group {
        tests: "browser::",
        programs: &["chromium"],
        packages: &["chromium"],
        python: &[],
        npm: &[],
        unpacked: &[],
    },
    // Its browser is the one of the group before. Apart, since some makers' nodejs brings npm and excludes Debian's.
    Group {
        tests: "browser_forms::",
        programs: &["node", "npm"],
        packages: &["nodejs", "npm"],
        python: &[],
        npm: &["playwright-core@1.65.1"],
        unpacked: &[],
    },
    Group {
        tests: "browser_owa::",
        programs: &["node", "npm"],
        packages: &["nodejs", "npm"],
        python: &[],
        npm: &["playwright-core@1.65.1"],
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
    for package in group.npm {
        if let Err(error) = npm_package(package) {
            return Some(format!("needs {package} from npm: {error:#}"));
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
    // Not all of them bring a program; what is installed is written down under its name and version.
    let written = format!("{}.dist-info", package.replace('-', "_").replace("==", "-"));
    let libraries = std::fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
    if libraries.into_iter().any(|library| library.path().join("site-packages").join(&written).is_dir()) {
        return Ok(());
    }
    let folder = folder.display().to_string();
    shell::run("python3", &["-m", "venv", &folder])?;
    // By the interpreter of this folder: the script `pip` names the one that the folder was made with.
    shell::run(&format!("{folder}/bin/python"), &["-m", "pip", "install", "--quiet", package])
}

/// Runs no scripts of the package.
fn npm_package(package: &str) -> anyhow::Result<()> {
    let folder = shell::root().join("target/node");
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    if folder.join("node_modules").join(name).join("package.json").is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    let folder = folder.display().to_string();
    let arguments =
        ["install", "--prefix", &folder, "--silent", "--no-audit", "--no-fund", "--ignore-scripts", package];
    shell::run("npm", &arguments)
}
