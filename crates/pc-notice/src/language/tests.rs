use super::*;

fn words(template: &str) -> Vec<&str> {
    let mut words: Vec<&str> =
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word).collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[test]
fn every_language_fills_in_the_same_words() {
    for key in Key::ALL {
        let english = words(Language::En.text(*key));
        for language in Language::ALL {
            let text = language.text(*key);
            assert_eq!(words(text), english, "{key:?} in {language:?}");
            assert!(
                !text.is_empty() && text.trim() == text && !text.contains("  "),
                "{key:?} in {language:?}"
            );
        }
    }
}

#[test]
fn what_is_filled_in_is_not_read_as_a_brace() {
    assert_eq!(fill("a {x} b {y}", &[("x", "{y}"), ("y", "1")]), "a {y} b 1");
    assert_eq!(fill("open { and {none}", &[]), "open ");
}
