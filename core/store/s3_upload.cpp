#include "core/store/s3_upload.h"

#include <algorithm>

#include "core/base64.h"
#include "core/http/xml_text.h"
#include "core/sha256.h"
#include "core/store/store.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostParts = 10000;  // S3's limit

struct Part {
  std::int64_t offset = 0;
  std::int64_t size = 0;
  std::string sha256;  // hex
  std::string etag;
};

std::string checksum_text(const std::string& hex) {
  return base64_encode(from_hex(hex));
}

HttpRequest put_request(S3Session& s3, const fs::path& file, const std::string& key,
                        const std::string& query, const Part& part) {
  HttpRequest request = s3.request("PUT", key, query);
  request.headers.push_back({"x-amz-checksum-sha256", checksum_text(part.sha256)});
  request.body_file = file;
  request.body_offset = part.offset;
  request.body_size = part.size;
  request.total_timeout = s3.patience().deadline;
  request.stall_timeout = s3.patience().stall_timeout;
  return request;
}

std::string complete_body(const std::vector<Part>& parts) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" +
            xml_escape(parts[i].etag) + "</ETag><ChecksumSHA256>" + checksum_text(parts[i].sha256) +
            "</ChecksumSHA256></Part>";
  }
  return body + "</CompleteMultipartUpload>";
}

Status send_parts(S3Session& s3, const fs::path& file, const std::string& key,
                  const std::string& upload, std::vector<Part>& parts, Retry& retry) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string query =
        "partNumber=" + std::to_string(i + 1) + "&uploadId=" + percent_encode(upload);
    const auto sent = s3.fetch(put_request(s3, file, key, query, parts[i]), parts[i].sha256, retry);
    if (!sent) return sent.error();
    parts[i].etag = sent->header("ETag");
    retry.made_progress();
  }
  HttpRequest complete = s3.request("POST", key, "uploadId=" + percent_encode(upload));
  complete.body = complete_body(parts);
  complete.headers.push_back({"Content-Type", "application/xml"});
  const std::string hash = sha256_hex(complete.body);
  const auto answer = s3.fetch(std::move(complete), hash, retry);
  return answer ? Status(Unit{}) : Status(answer.error());
}

}  // namespace

Status put_s3_object(S3Session& s3, const fs::path& file, const std::string& key, Retry& retry) {
  std::error_code code;
  const auto size = static_cast<std::int64_t>(fs::file_size(file, code));
  if (code) return Error{ErrorKind::not_found, "cannot read " + file.string() + " to upload it"};
  std::int64_t part_bytes = s3.patience().part_bytes;
  while (size > kMostParts * part_bytes) part_bytes *= 2;

  const Result<std::vector<std::string>> hashes = part_hashes(file, part_bytes);
  if (!hashes) return hashes.error();
  std::vector<Part> parts;
  for (const std::string& hash : *hashes) {
    const auto offset = static_cast<std::int64_t>(parts.size()) * part_bytes;
    parts.push_back({offset, std::min(part_bytes, size - offset), hash, ""});
  }
  if (parts.size() == 1) {
    const auto sent = s3.fetch(put_request(s3, file, key, "", parts[0]), parts[0].sha256, retry);
    return sent ? Status(Unit{}) : Status(sent.error());
  }

  HttpRequest begin = s3.request("POST", key, "uploads=");
  begin.headers.push_back({"x-amz-checksum-algorithm", "SHA256"});
  begin.headers.push_back({"x-amz-meta-part-bytes", std::to_string(part_bytes)});
  const auto begun = s3.fetch(std::move(begin), std::string(kEmptyPayload), retry);
  if (!begun) return begun.error();
  const std::string upload = xml_text(begun->body, "UploadId");
  if (upload.empty()) return Error{ErrorKind::corrupt, "S3 names no upload for " + key};
  const Status sent = send_parts(s3, file, key, upload, parts, retry);
  if (!sent) {
    HttpRequest give_up = s3.request("DELETE", key, "uploadId=" + percent_encode(upload));
    Retry once(retry.once());
    (void)s3.fetch(std::move(give_up), std::string(kEmptyPayload), once);
  }
  return sent;
}

}  // namespace mayfly
