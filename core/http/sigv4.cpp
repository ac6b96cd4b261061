#include "core/http/sigv4.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>
#include <vector>

#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

namespace {

constexpr const char* kAlgorithm = "AWS4-HMAC-SHA256";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& letter : out) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return out;
}

// "20150830T123600Z"
std::string compact_time(WallTime now) {
  std::string text = format_utc(now).substr(0, 19);
  std::erase_if(text, [](char letter) { return letter == '-' || letter == ':'; });
  return text + "Z";
}

// The name as the Host header has it: without the port that the scheme implies.
std::string host_of(const std::string& url) {
  const std::string origin = origin_of(url);
  std::string host = origin.substr(std::min(origin.size(), origin.find("://") + 3));
  const std::string_view usual = origin.starts_with("https:") ? ":443" : ":80";
  if (host.ends_with(usual)) host.resize(host.size() - usual.size());
  return host;
}

std::string encode_again(std::string_view path) {
  std::string encoded;
  while (true) {
    const auto slash = path.find('/');
    encoded += percent_encode(path.substr(0, slash));
    if (slash == std::string_view::npos) return encoded;
    encoded += '/';
    path.remove_prefix(slash + 1);
  }
}

struct UrlParts {
  std::string path;   // "/" at least
  std::string query;  // without "?"
};

UrlParts parts_of(const std::string& url) {
  const auto start = url.find_first_of("/?#", url.find("://") + 3);
  std::string rest = start == std::string::npos ? "" : url.substr(start);
  rest.resize(std::min(rest.size(), rest.find('#')));
  const auto mark = rest.find('?');
  UrlParts parts{rest.substr(0, mark), mark == std::string::npos ? "" : rest.substr(mark + 1)};
  if (parts.path.empty()) parts.path = "/";
  return parts;
}

// S3 takes the path as it is sent; every other service encodes it once more.
std::string canonical_path(const std::string& path, const AwsScope& scope) {
  return scope.service == "s3" ? path : encode_again(path);
}

std::string encode_plainly(std::string_view text) {
  const auto plain = percent_decode(text);
  return percent_encode(plain ? *plain : std::string(text));
}

// Sorted by name, then value; a name alone gets "=".
std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    pairs.emplace_back(encode_plainly(pair.substr(0, equals)), encode_plainly(value));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string text;
  for (const auto& [name, value] : pairs) {
    text += (text.empty() ? "" : "&") + name + "=" + value;
  }
  return text;
}

// Without spaces around it, and with one where there were several.
std::string trimmed(std::string_view value) {
  std::string text;
  for (const char letter : value) {
    const bool space = letter == ' ' || letter == '\t';
    if (!space) {
      text += letter;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

struct SignedHeaders {
  std::string lines;  // "name:value\n" each
  std::string names;  // "host;x-amz-date"
};

SignedHeaders headers_of(const HttpRequest& request) {
  std::map<std::string, std::string> sorted = {{"host", host_of(request.url)}};
  for (const HttpHeader& header : request.headers) {
    std::string& value = sorted[lower(header.name)];
    value += (value.empty() ? "" : ",") + trimmed(header.value);
  }
  SignedHeaders made;
  for (const auto& [name, value] : sorted) {
    made.lines += name + ":" + value + "\n";
    made.names += (made.names.empty() ? "" : ";") + name;
  }
  return made;
}

void replace_header(HttpRequest& request, const char* name, std::string value) {
  std::erase_if(request.headers,
                [&](const HttpHeader& header) { return same_header_name(header.name, name); });
  if (!value.empty()) request.headers.push_back({name, std::move(value)});
}

std::string signing_key(const AwsCredentials& credentials, const AwsScope& scope,
                        const std::string& day) {
  const std::string of_day = hmac_sha256("AWS4" + credentials.secret_key.reveal(), day);
  return hmac_sha256(hmac_sha256(hmac_sha256(of_day, scope.region), scope.service), "aws4_request");
}

}  // namespace

void sign_v4(HttpRequest& request, const AwsCredentials& credentials, const AwsScope& scope,
             WallTime now, std::string_view payload_sha256) {
  const std::string time = compact_time(now);
  const std::string day = time.substr(0, 8);
  replace_header(request, "Authorization", "");
  replace_header(request, "X-Amz-Date", time);
  replace_header(request, "X-Amz-Security-Token", credentials.session_token.reveal());
  if (scope.service == "s3") {
    replace_header(request, "X-Amz-Content-Sha256", std::string(payload_sha256));
  }

  const UrlParts url = parts_of(request.url);
  const SignedHeaders headers = headers_of(request);
  const std::string canonical = request.method + "\n" + canonical_path(url.path, scope) + "\n" +
                                canonical_query(url.query) + "\n" + headers.lines + "\n" +
                                headers.names + "\n" + std::string(payload_sha256);
  const std::string place = day + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const std::string to_sign =
      std::string(kAlgorithm) + "\n" + time + "\n" + place + "\n" + sha256_hex(canonical);
  const std::string signature = to_hex(hmac_sha256(signing_key(credentials, scope, day), to_sign));
  replace_header(request, "Authorization",
                 std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + "/" +
                     place + ", SignedHeaders=" + headers.names + ", Signature=" + signature);
}

}  // namespace mayfly
