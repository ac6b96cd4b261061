#include <charconv>
#include <fstream>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "localhub/api.h"
#include "localhub/signed_address.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kMostParts = 10000;

// Errors of S3 are XML.
HubAnswer storage_refusal(int status, const std::string& code, const std::string& words) {
  HubAnswer answer;
  answer.status = status;
  answer.content_type = "application/xml";
  answer.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" + code +
                "</Code><Message>" + words + "</Message></Error>";
  return answer;
}

// Storage names content by another hash than the hub does; clients that mix them up must notice.
std::string storage_etag(const std::string& sha256) {
  return "\"" + sha256_hex("storage of " + sha256) + "\"";
}

fs::path parts_folder(const Hub& hub, const std::string& oid) {
  return hub.library.root() / "incoming" / ("parts-" + oid);
}

HubAnswer get_object(const Hub& hub, const std::string& oid) {
  if (!hub.library.objects().has(oid)) return storage_refusal(404, "NoSuchKey", "no such object");
  HubAnswer answer;
  answer.content_type = "application/octet-stream";
  answer.headers = {{"ETag", storage_etag(oid)}, {"Accept-Ranges", "bytes"}};
  answer.file = hub.library.objects().path_of(oid);
  answer.length = hub.library.objects().size_of(oid);
  return answer;
}

HubAnswer put_object(const Hub& hub, const std::string& oid, const HubRequest& request) {
  if (request.body_sha256 != oid) {
    return storage_refusal(400, "BadDigest",
                           "the bytes do not have the SHA-256 they were announced with");
  }
  if (Status kept = hub.library.objects().adopt(request.body_file, oid); !kept) {
    return storage_refusal(500, "InternalError", kept.error().message);
  }
  HubAnswer answer;
  answer.headers = {{"ETag", storage_etag(oid)}};
  return answer;
}

HubAnswer put_part(const Hub& hub, const std::string& oid, const std::string& number,
                   const HubRequest& request) {
  if (!is_sha256(oid) || number.find_first_not_of("0123456789") != std::string::npos) {
    return storage_refusal(400, "InvalidPart", "no such part");
  }
  const fs::path folder = parts_folder(hub, oid);
  if (Status made = make_folders(folder); !made) {
    return storage_refusal(500, "InternalError", made.error().message);
  }
  std::error_code code;
  fs::rename(request.body_file, folder / number, code);
  if (code) return storage_refusal(500, "InternalError", code.message());
  HubAnswer answer;
  answer.headers = {{"ETag", "\"" + request.body_sha256.substr(0, 32) + "\""}};
  return answer;
}

// Appends the part to `out` if its content has the etag; "" or what is wrong.
std::string append_part(const fs::path& part, const std::string& etag, std::ofstream& out,
                        Digest& digest) {
  const auto hash = sha256_file(part);
  if (!hash) return "a part was not uploaded";
  if (etag != "\"" + hash->substr(0, 32) + "\"") return "an ETag does not fit its part";
  std::ifstream in(part, std::ios::binary);
  std::string block(1 << 20, '\0');
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    out.write(block.data(), in.gcount());
    digest.update(block.data(), static_cast<std::size_t>(in.gcount()));
  }
  return "";
}

HubAnswer complete_upload(Hub& hub, const std::string& oid, const HubRequest& request) {
  const json body = body_of(request);
  if (!body.contains("parts") || !body["parts"].is_array() || body["parts"].size() > kMostParts) {
    return storage_refusal(400, "MalformedRequest", "parts are needed");
  }
  const fs::path folder = parts_folder(hub, oid);
  const fs::path whole = hub.library.objects().new_incoming();
  std::ofstream out(whole, std::ios::binary);
  Digest digest;
  for (const json& part : body["parts"]) {
    if (!part.is_object() || !part.contains("partNumber") || !part.contains("etag") ||
        !part["partNumber"].is_number_integer() || !part["etag"].is_string()) {
      return storage_refusal(400, "MalformedRequest", "a part needs partNumber and etag");
    }
    const std::string number = std::to_string(part["partNumber"].get<int>());
    const std::string problem = append_part(folder / number, part["etag"], out, digest);
    if (!problem.empty()) return storage_refusal(400, "InvalidPart", problem);
  }
  out.close();
  if (!out || digest.finish_hex() != oid) {
    return storage_refusal(400, "BadDigest", "the parts do not add up to the announced SHA-256");
  }
  if (Status kept = hub.library.objects().adopt(whole, oid); !kept) {
    return storage_refusal(500, "InternalError", kept.error().message);
  }
  std::error_code code;
  fs::remove_all(folder, code);
  return json_answer({{"success", true}});
}

}  // namespace

HubAnswer answer_storage(Hub& hub, const HubRequest& request) {
  if (!has_valid_signature(hub, request)) {
    return storage_refusal(403, "AccessDenied", "Request has expired or is not signed");
  }
  const auto& path = request.segments;
  if (path.size() == 2 && path[0] == "objects") {
    return request.method == "PUT" ? put_object(hub, path[1], request) : get_object(hub, path[1]);
  }
  if (path.size() == 3 && path[0] == "parts" && request.method == "PUT") {
    return put_part(hub, path[1], path[2], request);
  }
  if (path.size() == 2 && path[0] == "complete" && request.method == "POST") {
    return complete_upload(hub, path[1], request);
  }
  return storage_refusal(404, "NoSuchKey", "no such address");
}

}  // namespace mayfly::localhub
