//! The encryption of objects that S3 is asked for, as an S3 that reports it has understood it.

use bytes::Bytes;
use plinth_testkit::{Answer, Services, Stage, Store};
use rstest::rstest;

#[rstest]
#[case::left_to_the_bucket(&[], [None, None])]
#[case::with_keys_of_s3(&[("PLINTH_S3_ENCRYPTION", "AES256")], [Some("AES256"), None])]
#[case::with_the_accounts_kms_key(&[("PLINTH_S3_ENCRYPTION", "aws:kms")], [Some("aws:kms"), None])]
#[case::with_a_kms_key_of_ours(
    &[("PLINTH_S3_ENCRYPTION", "aws:kms"), ("PLINTH_S3_KMS_KEY_ID", "alias/plinth")],
    [Some("aws:kms"), Some("alias/plinth")]
)]
#[tokio::test]
async fn every_object_is_encrypted_as_configured_whole_or_in_parts(
    #[case] settings: &[(&str, &str)],
    #[case] expected: [Option<&str>; 2],
) {
    let stage = settings
        .iter()
        .fold(Stage::at(Store::Moto).await, |stage, (name, value)| {
            stage.with(name, value)
        });
    let objects = stage.stores().objects;
    objects
        .put("whole", Bytes::from_static(b"x"), "text/plain")
        .await
        .expect("is stored");
    let upload = objects.begin_parts("parts").await.expect("begins");
    let part = objects
        .put_part("parts", &upload, 1, Bytes::from_static(b"x"))
        .await
        .expect("is taken");
    objects
        .finish_parts("parts", &upload, vec![part])
        .await
        .expect("is made");
    let bucket = format!("{}/{}", Services::get().moto_url, Services::get().s3_bucket);
    let prefix = stage.settings().s3.prefix;
    for key in ["whole", "parts"] {
        // moto requires credentials, and accepts any.
        let head = reqwest::Client::new()
            .head(format!("{bucket}/{}{key}", &*prefix))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request",
            );
        let head = Answer::of(head).await;
        assert!(head.status.is_success(), "{key}: {head:?}");
        let headers = [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
        ];
        assert_eq!(headers.map(|name| head.header(name)), expected, "{key}");
    }
}
