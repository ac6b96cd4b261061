// AWS Signature Version 4: proves to S3, EC2 and whatever speaks like them who sends a request.
//
// Our own although libcurl has CURLOPT_AWS_SIGV4: Debian 12's 7.88.1 signs a query wrongly that has
// a name without a value ("?uploads", curl issues 8107 and 10129) or needs encoding (11794, 13754),
// and hashes only bodies that lie in memory. Source: "Signature Calculations for the Authorization
// Header" in the S3 API reference. Pure but for the headers it adds.
#pragma once

#include <string>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/secret.h"

namespace mayfly {

struct AwsCredentials {
  std::string access_key_id;
  Secret secret_key;
  Secret session_token;  // empty: long-lived credentials

  bool empty() const {
    return access_key_id.empty() || secret_key.empty();
  }
};

struct AwsScope {
  std::string region;   // "eu-central-1"
  std::string service;  // "s3", "ec2"
};

// The hash of no payload, and what stands in its place where only TLS protects the payload.
constexpr std::string_view kEmptyPayload =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// Adds X-Amz-Date, X-Amz-Security-Token where there is one, X-Amz-Content-Sha256 for S3, and
// Authorization; those of an earlier signature are replaced, so that a repeated request can be
// signed anew (a signature is good for 15 minutes). Signs every header of the request and its host.
// The URL's path and query are percent-encoded already. `payload_sha256`: of the body, in hex.
void sign_v4(HttpRequest& request, const AwsCredentials& credentials, const AwsScope& scope,
             WallTime now, std::string_view payload_sha256);

}  // namespace mayfly
