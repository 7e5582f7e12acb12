//! Without a configured access key, a process finds its credentials like every program of the AWS
//! SDKs.

use plinth_testkit::{Process, Services, Stage, Store};

use super::script;

/// Returns an environment without a key, on which the instance metadata service is disabled.
fn without_key(stage: Stage) -> Stage {
    let stage = stage
        .without("PLINTH_S3_ACCESS_KEY_ID")
        .without("PLINTH_S3_SECRET_ACCESS_KEY");
    // Ignore the credentials of the developer's account.
    stage
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("AWS_CONFIG_FILE", "/dev/null")
        .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}

/// Lists the bucket. Returns the error if that fails.
async fn list_bucket(stage: &Stage) -> Result<(), String> {
    let output = Process::run("plinth-worker", &["reconcile", "--dry-run"], stage).await;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn a_key_comes_from_the_environment_and_the_store_refuses_a_wrong_one() {
    let services = Services::get();
    let stage = without_key(Stage::open().await);
    let error = list_bucket(&stage)
        .await
        .expect_err("no provider has a key");
    assert!(error.contains("no credentials found in chain"), "{error}");
    let stage = stage.with("AWS_ACCESS_KEY_ID", &services.s3_access_key_id);
    let stage = stage.with("AWS_SECRET_ACCESS_KEY", &services.s3_secret_access_key);
    assert_eq!(list_bucket(&stage).await, Ok(()));
    let refused = list_bucket(&stage.with("AWS_SECRET_ACCESS_KEY", "hush-hush"))
        .await
        .expect_err("it is checked");
    assert!(
        refused.contains("SignatureDoesNotMatch") && !refused.contains("hush-hush"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_key_comes_from_the_named_profile() {
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
    list_bucket(&stage)
        .await
        .expect_err("the default profile's key is none of the store's");
    assert_eq!(
        list_bucket(&stage.with("AWS_PROFILE", "plinth")).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_key_comes_from_the_container_credentials_endpoint() {
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
    assert_eq!(list_bucket(&stage).await, Ok(()));
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
    // moto issues keys and does not check them, so a process without any key would fail earlier.
    let stage = without_key(Stage::at(Store::Moto).await)
        .with("AWS_ENDPOINT_URL_STS", &Services::get().moto_url)
        .with("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/plinth");
    list_bucket(&stage).await.expect_err("a role needs a token");
    let stage = stage.with(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        token.to_str().expect("a text"),
    );
    assert_eq!(list_bucket(&stage).await, Ok(()));
}
