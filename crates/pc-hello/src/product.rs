//! # Purpose
//! Which product a client may be, by the order in which it offers suites and by its extensions.
//!
//! # Trust
//! Any client can look like any other; a scanner does. What comes out is a guess, and is called one wherever it is shown.
//!
//! # Standards
//! None: each entry names where its pattern is from. Orders of suites are the defaults of the product; whoever changed them,
//! by policy or by a program of his own, is not found.
//!
//! # Invariants
//! The first entry that fits is taken, so that a narrow one stands before a wide one.

use serde::Serialize;

use crate::{Offer, SSL_V2, TLS12, TLS13};

/// A product, as a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Stable word.
    pub code: &'static str,
    /// What it may be.
    pub name: &'static str,
    /// What its owner can do; empty where nothing is amiss.
    pub remedy: &'static str,
    /// Where the pattern is from.
    pub source: &'static str,
}

/// The guess for an offer.
pub fn guess(offer: &Offer) -> Option<Product> {
    PATTERNS.iter().find(|pattern| pattern.fits(offer)).map(|pattern| pattern.product)
}

struct Pattern {
    product: Product,
    /// Lowest and highest of the newest version offered.
    newest: (u16, u16),
    /// Each list is the begin of the suites that are no GREASE; one must fit. None: any.
    begins: &'static [&'static [u16]],
    /// All of these are offered.
    offers: &'static [u16],
    /// None of these is.
    lacks: &'static [u16],
    /// All of these extensions are there.
    extensions: &'static [u16],
    /// The begin of the groups.
    groups: &'static [u16],
}

impl Pattern {
    fn fits(&self, offer: &Offer) -> bool {
        let suites: Vec<u16> = without_grease(&offer.suites);
        let (lowest, highest) = self.newest;
        (lowest..=highest).contains(&offer.newest_version())
            && (self.begins.is_empty() || self.begins.iter().any(|begin| suites.starts_with(begin)))
            && self.offers.iter().all(|suite| suites.contains(suite))
            && !self.lacks.iter().any(|suite| suites.contains(suite))
            && self.extensions.iter().all(|kind| offer.extensions.contains(kind))
            && without_grease(&offer.groups).starts_with(self.groups)
    }
}

fn without_grease(values: &[u16]) -> Vec<u16> {
    values.iter().copied().filter(|value| !crate::names::is_grease(*value)).collect()
}

const ANY: Pattern = Pattern {
    product: Product { code: "", name: "", remedy: "", source: "" },
    newest: (0, u16::MAX),
    begins: &[],
    offers: &[],
    lacks: &[],
    extensions: &[],
    groups: &[],
};

const TLS10: u16 = 0x0301;
const TLS11: u16 = 0x0302;

const LEARN: &str = "Microsoft Learn, \"TLS Cipher Suites in Windows\" 7, 8 and 8.1";
const SSL_LABS: &str = "SSL Labs, user agent capabilities";

/// Narrow ones first.
const PATTERNS: &[Pattern] = &[
    Pattern {
        product: Product {
            code: "schannel_xp",
            name: "Windows XP or Server 2003 (Schannel)",
            remedy: "Windows of this age cannot be brought to TLS 1.2. Replace it, or use a browser with TLS of its own.",
            source: "JA3's second example; SSL Labs, IE 6 and 8 on XP",
        },
        newest: (0x0300, TLS10),
        begins: &[&[0x0004, 0x0005, 0x000a, 0x0009]],
        offers: &[0x0064, 0x0062],
        lacks: &[0x0035],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "schannel_7_tls10",
            name: "Windows Vista, 7, Server 2008 or 2008 R2 (Schannel), with Outlook 2010 and all that uses it",
            remedy: "On Windows 7 and Server 2008 R2 install all updates, turn TLS 1.2 on for Schannel and WinHTTP (KB3140245), and note \
                     that the suites of RSA certificates stay out of reach; a current Windows is the way out.",
            source: "Hello of IE 9 on Windows 7 as published; JA3's first example (Vista)",
        },
        newest: (0x0300, TLS11),
        begins: &[
            &[0x002f, 0x0035, 0x0005, 0x000a, 0xc013],
            &[0x002f, 0x0035, 0x0005, 0x000a, 0xc009],
            &[0x002f, 0x0035, 0x000a, 0xc013],
        ],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "schannel_7_8_tls10",
            name: "Windows 7, 8, Server 2008 R2 or 2012 with updates of 2015 (Schannel), TLS 1.2 not turned on",
            remedy: "Turn TLS 1.2 on for Schannel, .NET and WinHTTP (KB3140245; Exchange: \"TLS configuration best practices\"). This \
                     Windows has AES-GCM with forward secrecy only for ECDSA certificates; a current Windows has both.",
            source: "Microsoft advisory 3042058; SSL Labs, IE 8-10 on Windows 7",
        },
        newest: (0x0300, TLS11),
        begins: &[&[0xc014, 0xc013, 0x0035, 0x002f, 0xc00a], &[0xc014, 0xc013, 0x0039, 0x0033, 0x0035]],
        offers: &[0x0038, 0x0032],
        lacks: &[0xc022, 0xc012, 0x00ff],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "schannel_81_tls12",
            name: "Windows 8.1 or Server 2012 R2, or Windows 7 or Server 2008 R2 with TLS 1.2 (Schannel)",
            remedy: "This Windows has AES-GCM with forward secrecy only for ECDSA certificates. Bring the server to Windows Server 2016 or \
                     later. For mail an ECDSA certificate beside the RSA one serves it; before OWA that breaks Extended Protection.",
            source: LEARN,
        },
        newest: (TLS12, TLS12),
        begins: &[&[0xc028, 0xc027], &[0x009f, 0x009e, 0xc028, 0xc027], &[0xc02c, 0xc02b, 0xc028, 0xc027]],
        lacks: &[0xc02f, 0xc030, 0xc012, 0x00ff],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "schannel_7_tls12",
            name: "Windows 7, 8, Server 2008 R2 or 2012 with TLS 1.2 and without the updates of 2015 (Schannel)",
            remedy: "Install all updates (advisory 3042058 among them). This Windows has AES-GCM with forward secrecy only for ECDSA \
                     certificates; a current Windows has both.",
            source: LEARN,
        },
        newest: (TLS12, TLS12),
        begins: &[&[0x003c, 0x002f, 0x003d, 0x0035]],
        lacks: &[0xc02f, 0xc030],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "schannel_10",
            name: "Windows 10, 11, Server 2016 or later (Schannel), with Outlook and all that uses it",
            remedy: "",
            source: "Microsoft Learn, \"TLS Cipher Suites in Windows 10\" and \"in Windows 11\"",
        },
        newest: (TLS10, TLS13),
        begins: &[
            &[0xc02c, 0xc02b, 0xc030, 0xc02f, 0x009f, 0x009e],
            &[0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023],
            &[0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f, 0x009f],
            &[0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024],
        ],
        lacks: &[0x00ff, 0xcca8],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "apple_old",
            name: "iOS 5 to 8, or OS X 10.8 to 10.10 (Secure Transport)",
            remedy: "Update to iOS 9 or macOS 10.11 at least; older ones have no AES-GCM.",
            source: SSL_LABS,
        },
        newest: (TLS10, TLS12),
        begins: &[&[0x00ff, 0xc024, 0xc023], &[0x00ff, 0xc00a, 0xc009, 0xc007]],
        lacks: &[0xc02b, 0xc02f],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "java_7",
            name: "Java 7 (JSSE)",
            remedy: "Update to a supported Java. Java 7 from 7u131 on takes -Djdk.tls.client.protocols=TLSv1.2, but has no AES-GCM.",
            source: "OpenJDK 7, CipherSuite order of SunJSSE",
        },
        newest: (TLS10, TLS12),
        begins: &[
            &[0xc009, 0xc013, 0x002f, 0xc004],
            &[0xc00a, 0xc014, 0x0035, 0xc005],
            &[0xc023, 0xc027, 0x003c, 0xc025],
            &[0xc024, 0xc028, 0x003d, 0xc026],
        ],
        lacks: &[0xc02b, 0xc02f],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "java_8",
            name: "Java 8 or later (JSSE)",
            remedy: "",
            source: "OpenJDK 8, CipherSuite order of SunJSSE",
        },
        newest: (TLS12, TLS13),
        begins: &[
            &[0xc023, 0xc027, 0x003c, 0xc025],
            &[0xc024, 0xc028, 0x003d, 0xc026],
            &[0xc02c, 0xc02b, 0xc030, 0x009d, 0xc02e],
        ],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "java_6_android_2",
            name: "Java 6 or older (JSSE), or Android 2",
            remedy: "Update to a supported Java or Android; these end at TLS 1.0.",
            source: "OpenJDK 6, CipherSuite order of SunJSSE; SSL Labs, Android 2.3.7",
        },
        newest: (0x0300, TLS10),
        begins: &[&[0x0004, 0x0005, 0x002f, 0x0033], &[0x0004, 0x0005, 0x002f, 0x0035, 0x0033]],
        lacks: &[0xc014, 0xc013],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "openssl_101_tls10",
            name: "Android 4.0 to 4.3, or OpenSSL 1.0.1 held to TLS 1.0",
            remedy: "Android from 4.1 on can do TLS 1.2 but does not by itself: update the phone, or use a mail program with TLS of its own. For \
                     OpenSSL see what holds it to TLS 1.0.",
            source: SSL_LABS,
        },
        newest: (0x0300, TLS11),
        begins: &[&[0xc014, 0xc00a, 0xc022, 0xc021], &[0xc014, 0xc00a, 0x0039, 0x0038, 0x0088]],
        offers: &[0x00ff],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "openssl_100",
            name: "OpenSSL 1.0.0, or a later one held to TLS 1.0 or 1.1",
            remedy: "Update OpenSSL to 1.1.1 at least (with the system: Debian 10, Ubuntu 18.04, RHEL 8), or take away what holds it to \
                     TLS 1.0, such as the option -tls1 or a MinProtocol of old.",
            source: "OpenSSL 1.0.0, default order of ciphers",
        },
        newest: (0x0300, TLS11),
        begins: &[&[0xc014, 0xc00a, 0x0039], &[0xc00a, 0xc014, 0x0039]],
        offers: &[0x00ff],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "openssl_098",
            name: "OpenSSL 0.9.8 or older",
            remedy: "Update the system: OpenSSL 0.9.8 ends at TLS 1.0 and has had no fixes since December 2015.",
            source: "OpenSSL 0.9.8, default order of ciphers",
        },
        newest: (SSL_V2, TLS10),
        begins: &[&[0x0039, 0x0038, 0x0035], &[0x0039, 0x0038, 0x0088, 0x0087, 0x0035]],
        lacks: &[0xc014, 0xc013],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "openssl_101",
            name: "OpenSSL 1.0.1 or 1.0.2",
            remedy: "It works here; OpenSSL 1.0.2 has had no fixes since December 2019. Update the system.",
            source: "RFC 6520 heartbeat, offered by OpenSSL before 1.1.0 only",
        },
        newest: (TLS12, TLS12),
        extensions: &[15],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "chromium",
            name: "Chrome, Edge or another Chromium",
            remedy: "",
            source: "application_settings, which only Chromium sends",
        },
        newest: (TLS13, TLS13),
        extensions: &[17613],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "chromium",
            name: "Chrome, Edge or another Chromium",
            remedy: "",
            source: "application_settings, which only Chromium sends",
        },
        newest: (TLS13, TLS13),
        extensions: &[17513],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "firefox",
            name: "Firefox or Thunderbird (NSS)",
            remedy: "",
            source: "delegated_credential and record_size_limit, which only NSS sends together",
        },
        newest: (TLS13, TLS13),
        extensions: &[28, 34],
        ..ANY
    },
    Pattern {
        product: Product {
            code: "openssl_3",
            name: "OpenSSL 1.1.1 or 3 (curl, Postfix, PHP, Python and others)",
            remedy: "",
            source: "Hellos of openssl and curl in this product's tests",
        },
        newest: (TLS12, TLS13),
        extensions: &[22],
        groups: &[0x001d, 0x0017, 0x001e],
        ..ANY
    },
];
