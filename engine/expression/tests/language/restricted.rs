use crate::{NOW, environment, scope};
use holdfast_expression::{Budget, Context, ErrorKind, Program, Value};

fn seeded(buffer: &mut [u8]) {
    for (byte, place) in buffer.iter_mut().zip(0_u8..) {
        *byte = place.wrapping_mul(37).wrapping_add(250);
    }
}

#[test]
fn now_and_random_strings_need_leave() {
    for source in ["now()", "randomString(8)", "[1].map(x, now())"] {
        let errors = Program::compile(source, &environment()).unwrap_err();
        assert_eq!(
            errors.iter().map(|error| error.kind.clone()).collect::<Vec<_>>(),
            [ErrorKind::Restricted],
            "{source}"
        );
    }
}

#[test]
fn now_is_the_time_of_the_context() {
    let program = Program::compile("now() - duration('1d')", &environment().allow_now()).unwrap();
    let value = program
        .evaluate(&scope(), &mut Budget::default(), &Context::at(NOW))
        .unwrap();
    assert_eq!(value.to_string(), "2024-02-28T12:30:45.678Z");
}

#[test]
fn random_strings_are_letters_and_digits_of_that_length_and_sensitive() {
    let program = Program::compile("randomString(100)", &environment().allow_random()).unwrap();
    let context = Context::at(NOW).with_random(&seeded);
    let evaluate = || {
        program
            .evaluate(&scope(), &mut Budget::default(), &context)
            .unwrap()
    };
    let Value::Sensitive(secret) = evaluate() else {
        panic!("it is sensitive")
    };
    let text = secret.expose().as_str().unwrap();
    assert_eq!(text.len(), 100);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(evaluate(), evaluate(), "the same source gives the same text");
}

#[test]
fn random_strings_have_bounds_and_need_a_source() {
    let environment = environment().allow_random();
    let run = |source: &str, context: &Context<'_>| {
        Program::compile(source, &environment)
            .unwrap()
            .evaluate(&scope(), &mut Budget::default(), context)
            .unwrap_err()
            .kind
    };
    assert_eq!(run("randomString(8)", &Context::at(NOW)), ErrorKind::Restricted);
    assert_eq!(
        run("randomString(-1)", &Context::at(NOW).with_random(&seeded)),
        ErrorKind::Argument
    );
    assert_eq!(
        run("randomString(1000000000)", &Context::at(NOW).with_random(&seeded)),
        ErrorKind::Argument
    );
    let stuck = |buffer: &mut [u8]| buffer.fill(255);
    assert_eq!(
        run("randomString(8)", &Context::at(NOW).with_random(&stuck)),
        ErrorKind::Budget
    );
}

#[test]
fn yaml_needs_a_decoder() {
    let errors = Program::compile("yaml('a')", &holdfast_expression::Environment::new()).unwrap_err();
    assert_eq!(errors[0].kind, ErrorKind::Restricted);
}
