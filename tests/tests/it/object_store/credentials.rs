//! Where no access key is set, a started process finds its credentials as every program of AWS's SDKs does.

use plinth_testkit::{Process, Services, Stage, Store};

use super::script;

/// A stage that brings no key and on which no machine is asked for one.
fn without_key(stage: Stage) -> Stage {
    let stage = stage
        .without("PLINTH_S3_ACCESS_KEY_ID")
        .without("PLINTH_S3_SECRET_ACCESS_KEY");
    // What a developer's own account has is not meant here.
    stage
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("AWS_CONFIG_FILE", "/dev/null")
        .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}

/// Walks the bucket; what it complained of where it could not.
async fn walk(stage: &Stage) -> Result<(), String> {
    let output = Process::run("plinth-worker", &["reconcile", "--dry-run"], stage).await;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn a_key_is_taken_from_the_environment_and_a_wrong_one_is_refused_by_the_store() {
    let services = Services::get();
    let stage = without_key(Stage::open().await);
    let helpless = walk(&stage).await.expect_err("nobody gives it a key");
    assert!(
        helpless.contains("no credentials found in chain"),
        "{helpless}"
    );
    let stage = stage.with("AWS_ACCESS_KEY_ID", &services.s3_access_key_id);
    let stage = stage.with("AWS_SECRET_ACCESS_KEY", &services.s3_secret_access_key);
    assert_eq!(walk(&stage).await, Ok(()));
    let refused = walk(&stage.with("AWS_SECRET_ACCESS_KEY", "hush-hush"))
        .await
        .expect_err("it is checked");
    assert!(
        refused.contains("SignatureDoesNotMatch") && !refused.contains("hush-hush"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_key_is_taken_from_the_profile_that_is_named() {
    let services = Services::get();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let (id, secret) = (&services.s3_access_key_id, &services.s3_secret_access_key);
    let profiles = format!(
        "[default]\naws_access_key_id = other\naws_secret_access_key = other\n\n\
         [plinth]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
    );
    std::fs::write(&file, profiles).expect("writes");
    let stage = without_key(Stage::open().await).with(
        "AWS_SHARED_CREDENTIALS_FILE",
        file.to_str().expect("a text"),
    );
    walk(&stage)
        .await
        .expect_err("the default profile's key is none of the store's");
    assert_eq!(walk(&stage.with("AWS_PROFILE", "plinth")).await, Ok(()));
}

#[tokio::test]
async fn a_key_is_taken_from_what_a_container_is_served() {
    let services = Services::get();
    let (id, secret) = (&services.s3_access_key_id, &services.s3_secret_access_key);
    let body = format!(
        r#"{{"AccessKeyId":"{id}","SecretAccessKey":"{secret}","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let (address, serving) = script::serve("200 OK", "application/json", vec![body]).await;
    let stage = without_key(Stage::open().await)
        .with(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("http://{address}/credentials"),
        )
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-pod");
    assert_eq!(walk(&stage).await, Ok(()));
    let request = serving.await.expect("no panic").concat().to_lowercase();
    assert!(
        request.starts_with("get /credentials ") && request.contains("of-the-pod"),
        "{request}"
    );
}

#[tokio::test]
async fn a_service_accounts_token_is_exchanged_for_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "a.b.c").expect("writes");
    // moto gives keys and asks for none, so that whoever has none at all does not come this far.
    let stage = without_key(Stage::at(Store::Moto).await)
        .with("AWS_ENDPOINT_URL_STS", &Services::get().moto_url)
        .with("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/plinth");
    walk(&stage)
        .await
        .expect_err("a role without a token is nobody's");
    let stage = stage.with(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        token.to_str().expect("a text"),
    );
    assert_eq!(walk(&stage).await, Ok(()));
}
