use std::fs;

use pc_types::{Timestamp, hex};

use super::*;
use crate::limits::RECIPIENT_CACHE_MAX;

fn path(text: &str) -> ForwardPath {
    ForwardPath::Mailbox(Mailbox::parse(text).unwrap())
}

fn list(text: &str) -> RecipientList {
    RecipientList::parse(text).unwrap()
}

fn hashed(text: &str) -> String {
    format!("sha256:{}", hex(&sha256(text.as_bytes())))
}

#[test]
fn letters_of_both_cases_quotes_and_tags_reach_one_mailbox() {
    let list = list("# who is here\n\n  Jane.Doe@Example.ORG\r\n#hash@example.org\nodd#one@example.org\n");
    assert_eq!(list.len(), 2);
    let plus = Subaddress::Divided('+');
    for (address, plain, tagged) in [
        ("jane.doe@example.org", true, true),
        ("JANE.DOE@EXAMPLE.org", true, true),
        ("\"jane.doe\"@example.org", true, true),
        ("\"jane\\.doe\"@example.org", true, true),
        ("jane.doe+news@example.org", false, true),
        ("jane.doe+a+b@example.org", false, true),
        ("+news@example.org", false, false),
        ("jane.doe@example.net", false, false),
        ("jane@example.org", false, false),
        ("odd#one@example.org", true, true),
        ("hash@example.org", false, false),
        ("jane.doe@[192.0.2.1]", false, false),
    ] {
        assert_eq!(list.has(&path(address), Subaddress::Ignored), plain, "{address}");
        assert_eq!(list.has(&path(address), plus), tagged, "{address}");
    }
}

#[test]
fn postmaster_is_always_there_and_others_are_not() {
    let list = list("a@example.org");
    for address in ["postmaster@example.org", "PostMaster@example.net"] {
        assert!(list.has(&path(address), Subaddress::Ignored), "{address}");
    }
    assert!(list.has(&ForwardPath::Postmaster, Subaddress::Ignored));
    assert!(!list.has(&path("abuse@example.org"), Subaddress::Ignored));
}

#[test]
fn a_line_for_a_domain_takes_all_of_it_and_nothing_beside_it() {
    let list = list("@Example.org\n@b\u{fc}cher.example");
    assert!(list.has(&path("anybody@example.org"), Subaddress::Ignored));
    assert!(list.has(&path("anybody@xn--bcher-kva.example"), Subaddress::Ignored));
    assert!(!list.has(&path("anybody@sub.example.org"), Subaddress::Ignored));
}

#[test]
fn a_hashed_line_is_the_same_as_the_plain_one() {
    let plain = list("jane@example.org\n@example.net");
    let other = list(&format!("{}\n{}\n", hashed("jane@example.org"), hashed("@example.net")));
    assert_eq!(plain, other);
    assert!(other.has(&path("Jane+x@example.org"), Subaddress::Divided('+')));
}

#[test]
fn what_is_no_list_is_told_by_its_line_and_not_by_its_content() {
    for (text, want) in [
        ("", RecipientListFault::Empty),
        ("# nothing\n\n", RecipientListFault::Empty),
        ("a@example.org\nsecret\n", RecipientListFault::Line(2)),
        ("@\n", RecipientListFault::Line(1)),
        ("a@[192.0.2.1]", RecipientListFault::Line(1)),
        ("sha256:12", RecipientListFault::Line(1)),
        (&format!("sha256:{}", "+1".repeat(32)), RecipientListFault::Line(1)),
        (&format!("sha256:{}", "\u{e9}".repeat(32)), RecipientListFault::Line(1)),
        ("a@example.org, b@example.org", RecipientListFault::Line(1)),
        ("\"\"@example.org", RecipientListFault::Line(1)),
    ] {
        assert_eq!(RecipientList::parse(text), Err(want), "{text:?}");
        assert!(!want.to_string().contains("secret"));
    }
}

/// xorshift64*; the seed is printed by the assertion that fails.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }
}

#[test]
fn every_address_of_a_list_is_in_it_however_its_letters_are_written_and_hashed_lists_agree() {
    for seed in 1..200 {
        let mut random = Seeded(seed);
        let letters: Vec<char> = "abcxyz019.+-_#'".chars().collect();
        let mut addresses = Vec::new();
        while addresses.len() < 20 {
            let local: String = (0..=random.below(8)).map(|_| letters[random.below(letters.len())]).collect();
            let address = format!("{local}@example.org");
            if Mailbox::parse(&address).is_ok() && !address.starts_with('#') {
                addresses.push(address);
            }
        }
        let (there, elsewhere) = addresses.split_at(10);
        let plain = list(&there.join("\n"));
        let digests: Vec<String> = there.iter().map(|address| hashed(address)).collect();
        assert_eq!(plain, list(&digests.join("\n")), "seed {seed}");
        for address in there {
            let other: String = address
                .chars()
                .map(|letter| if random.below(2) == 0 { letter.to_ascii_uppercase() } else { letter })
                .collect();
            assert!(plain.has(&path(&other), Subaddress::Ignored), "seed {seed}: {other}");
        }
        for address in elsewhere.iter().filter(|address| !there.contains(address)) {
            assert!(!plain.has(&path(address), Subaddress::Ignored), "seed {seed}: {address}");
        }
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn number(number: usize) -> Key {
    sha256(&number.to_be_bytes())
}

fn cache(positive_minutes: u32, negative_minutes: u32) -> RecipientCache {
    RecipientCache::new(RecipientCacheSettings { positive_minutes, negative_minutes })
}

#[test]
fn an_answer_is_remembered_for_its_minutes_and_the_last_word_counts() {
    let mut cache = cache(10, 1);
    cache.note(number(1), Known::Exists, at(0));
    cache.note(number(2), Known::IsUnknown, at(0));
    let seen = |cache: &RecipientCache, second| [1, 2].map(|it| cache.look_up(&number(it), at(second)));
    assert_eq!(seen(&cache, 59), [Some(Known::Exists), Some(Known::IsUnknown)]);
    assert_eq!(seen(&cache, 60), [Some(Known::Exists), None]);
    assert_eq!(seen(&cache, 600), [None, None]);
    cache.note(number(1), Known::IsUnknown, at(1));
    assert_eq!(cache.look_up(&number(1), at(2)), Some(Known::IsUnknown));
    cache.note(number(1), Known::Exists, at(3));
    assert_eq!(cache.look_up(&number(1), at(4)), Some(Known::Exists));
}

#[test]
fn a_memory_that_is_turned_off_forgets_at_once_what_the_other_knew() {
    let mut cache = cache(0, 5);
    assert!(!cache.knows_existing());
    cache.note(number(1), Known::IsUnknown, at(0));
    cache.note(number(1), Known::Exists, at(1));
    assert_eq!(cache.look_up(&number(1), at(2)), None, "it exists meanwhile");
}

#[test]
fn guessed_addresses_fill_a_bounded_memory_and_push_out_no_real_one() {
    let mut cache = cache(60, 60);
    cache.note(number(0), Known::Exists, at(0));
    for guess in 1..=RECIPIENT_CACHE_MAX * 2 {
        cache.note(number(guess), Known::IsUnknown, at(1));
    }
    assert_eq!(cache.len(), (1, RECIPIENT_CACHE_MAX));
    assert_eq!(cache.look_up(&number(0), at(2)), Some(Known::Exists));
    assert_eq!(cache.look_up(&number(1), at(2)), None, "the oldest went");
    assert_eq!(cache.look_up(&number(RECIPIENT_CACHE_MAX * 2), at(2)), Some(Known::IsUnknown));
}

#[test]
fn whatever_is_noted_the_memory_agrees_with_a_plain_table() {
    for seed in 1..100 {
        let mut random = Seeded(seed);
        let mut cache = cache(3, 2);
        let mut table: [Option<(Known, i64)>; 8] = [None; 8];
        let mut second = 0;
        for _ in 0..200 {
            second += i64::try_from(random.below(40)).unwrap();
            let who = random.below(8);
            match random.below(3) {
                0 => {
                    cache.note(number(who), Known::Exists, at(second));
                    table[who] = Some((Known::Exists, second + 180));
                }
                1 => {
                    cache.note(number(who), Known::IsUnknown, at(second));
                    table[who] = Some((Known::IsUnknown, second + 120));
                }
                _ => {}
            }
            for (who, expected) in table.iter().enumerate() {
                let expected = expected.filter(|(_, until)| second < *until).map(|(known, _)| known);
                assert_eq!(cache.look_up(&number(who), at(second)), expected, "seed {seed} at {second}");
            }
        }
    }
}

#[test]
fn only_words_about_existence_are_remembered_and_a_bare_refusal_counts_against_the_client_alone() {
    let reply = |code, enhanced| Reply { code, enhanced, lines: vec!["x".into()] };
    for (code, enhanced, remembered, counted) in [
        (550, Some(EnhancedCode(5, 1, 1)), true, true),
        (550, Some(EnhancedCode(5, 1, 10)), true, true),
        (550, Some(EnhancedCode(5, 0, 0)), false, true),
        (550, None, false, true),
        (550, Some(EnhancedCode(5, 7, 1)), false, false),
        (552, Some(EnhancedCode(5, 2, 2)), false, false),
        (450, Some(EnhancedCode(4, 1, 1)), false, false),
        (553, Some(EnhancedCode(5, 1, 1)), false, false),
    ] {
        let reply = reply(code, enhanced);
        assert_eq!(denies_existence(&reply), remembered, "{code} {enhanced:?}");
        assert_eq!(may_deny_existence(&reply), counted, "{code} {enhanced:?}");
    }
}

/// A file in a folder, rewritten so that its stamp changes.
struct Written {
    folder: tempfile::TempDir,
    times: i64,
}

impl Written {
    fn write(&mut self, text: &str) -> std::path::PathBuf {
        let file = self.folder.path().join("recipients");
        fs::write(&file, text).unwrap();
        self.times += 1;
        let modified =
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(self.times).unwrap());
        fs::File::options().append(true).open(&file).unwrap().set_modified(modified).unwrap();
        file
    }
}

fn written() -> Written {
    Written { folder: tempfile::tempdir().unwrap(), times: 0 }
}

#[test]
fn a_changed_file_is_taken_once_it_stands_still() {
    let mut written = written();
    let file = written.write("a@example.org\n");
    let list = RecipientFile::open(&file, Subaddress::Ignored).unwrap();
    assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged);
    written.write("a@example.org\nb@example.org\n");
    assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged, "it may be under way");
    written.write("a@example.org\nb@example.org\nc@example.org\n");
    assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged, "it was");
    assert!(!list.has(&path("b@example.org")));
    assert_eq!(list.look().unwrap(), RecipientsReload::Swapped(3));
    assert!(list.has(&path("b@example.org")));
    assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged);
}

#[test]
fn a_file_that_is_gone_empty_damaged_or_cut_short_is_told_once_and_the_old_list_stays() {
    let mut written = written();
    let file = written.write("a@example.org\nb@example.org\nc@example.org\n");
    let list = RecipientFile::open(&file, Subaddress::Ignored).unwrap();
    let told = |list: &RecipientFile| {
        assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged);
        let error = list.look().unwrap_err().to_string();
        assert_eq!(list.look().unwrap(), RecipientsReload::Unchanged, "told once: {error}");
        assert!(list.has(&path("b@example.org")));
        error
    };
    written.write("");
    assert!(told(&list).contains("lists no recipient"));
    written.write("a@example.org\nb@exa\u{0}");
    assert!(told(&list).contains("line 2"));
    written.write("a@example.org\n");
    assert!(told(&list).contains("1 lines in place of 3"));
    assert_eq!(list.reload().unwrap(), RecipientsReload::Swapped(1), "who asks for it gets it");
    assert!(!list.has(&path("b@example.org")));
    written.write("b@example.org\n");
    list.reload().unwrap();
    fs::remove_file(&file).unwrap();
    assert!(told(&list).contains("No such file"));
    assert!(list.reload().is_err());
    assert!(list.has(&path("b@example.org")));
}

#[test]
fn a_file_must_be_there_at_the_start() {
    let error = RecipientFile::open(std::path::Path::new("/no/such/file"), Subaddress::Ignored).unwrap_err();
    assert!(error.to_string().starts_with("/no/such/file: "), "{error}");
}
