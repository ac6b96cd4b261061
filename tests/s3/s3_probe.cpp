// Our S3 client as a program, for a test that serves S3:
//
//   s3_probe sign METHOD URL REGION SERVICE TIME PAYLOAD-SHA256 [NAME=VALUE ...]
//       prints the Authorization header for that request
//   s3_probe put ENDPOINT BUCKET PREFIX BRANCH FOLDER   uploads the folder's files, verifies them,
//                                                       prints the commit
//   s3_probe verify ENDPOINT BUCKET PREFIX COMMIT FOLDER
//   s3_probe list ENDPOINT BUCKET PREFIX COMMIT         "<size> <sha256> <part bytes> <path>" lines
//   s3_probe branches ENDPOINT BUCKET PREFIX
//   s3_probe check ENDPOINT BUCKET PREFIX               tries the right to write
// Credentials and AWS_REGION are in the environment. Exit codes: 0; 3 with the kind and text.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/exit_code.h"
#include "core/http/curl_client.h"
#include "core/store/s3.h"

namespace mayfly {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int failed(const Error& error) {
  std::cout << "error " << static_cast<int>(exit_code(error.kind)) << " " << error.message << "\n"
            << error.hint << "\n";
  return 3;
}

int sign(const std::vector<std::string>& words) {
  HttpRequest request;
  request.method = words[1];
  request.url = words[2];
  for (std::size_t i = 7; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    request.headers.push_back({words[i].substr(0, equals), words[i].substr(equals + 1)});
  }
  const auto time = parse_utc(words[5]);
  if (!time) return failed(time.error());
  sign_v4(request, aws_credentials_from(variable), {words[3], words[4]}, *time, words[6]);
  for (const HttpHeader& header : request.headers) {
    if (header.name == "Authorization") std::cout << header.value << "\n";
  }
  return 0;
}

std::vector<StoreUpload> files_of(const std::filesystem::path& folder) {
  std::vector<StoreUpload> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files.push_back(
        {entry.path(), std::filesystem::relative(entry.path(), folder).generic_string()});
  }
  return files;
}

int store(const std::vector<std::string>& words) {
  SystemClock clock;
  CurlHttpClient http(curl_options_from_environment());
  S3Patience patience;
  patience.deadline = std::chrono::seconds(20);
  patience.part_bytes = 5 << 20;
  const S3Place place{words[1], variable("AWS_REGION"), words[2], words[3]};
  S3Session session(http, clock, place, aws_credentials_from(variable), patience);
  S3Store bucket(session);
  if (words[0] == "check") {
    const Status done = bucket.ensure_repository();
    return done ? 0 : failed(done.error());
  }
  if (words[0] == "branches") {
    const auto names = bucket.branches();
    if (!names) return failed(names.error());
    for (const std::string& name : *names) std::cout << name << "\n";
    return 0;
  }
  if (words[0] == "list") {
    const auto files = bucket.list(words[4]);
    if (!files) return failed(files.error());
    for (const StoredFile& file : *files) {
      std::cout << file.size << " " << file.sha256 << " " << file.part_bytes << " " << file.path
                << "\n";
    }
    return 0;
  }
  const std::vector<StoreUpload> files = files_of(words[5]);
  std::string commit = words[4];
  if (words[0] == "put") {
    const auto made = bucket.commit(words[4], "a summary", files);
    if (!made) return failed(made.error());
    commit = made->commit;
  }
  const Status same = verify_upload(bucket, commit, files);
  if (!same) return failed(same.error());
  std::cout << commit << "\n";
  return 0;
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4) return 2;
  return words[0] == "sign" ? mayfly::sign(words) : mayfly::store(words);
}
