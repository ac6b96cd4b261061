#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "localhub/api.h"
#include "localhub/signed_address.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

constexpr std::size_t kMostObjects = 256;
constexpr const char* kLfsType = "application/vnd.git-lfs+json";

struct AskedObject {
  std::string oid;
  std::int64_t size = -1;

  bool is_valid() const {
    return is_sha256(oid) && size >= 0;
  }
};

AskedObject read_object(const json& object) {
  AskedObject asked;
  if (!object.is_object()) return asked;
  if (object.contains("oid") && object["oid"].is_string()) asked.oid = object["oid"];
  if (object.contains("size") && object["size"].is_number_integer()) asked.size = object["size"];
  return asked;
}

bool offers(const json& body, const std::string& transfer) {
  if (!body.contains("transfers") || !body["transfers"].is_array()) return transfer == "basic";
  for (const json& offered : body["transfers"]) {
    if (offered == transfer) return true;
  }
  return false;
}

// Parts are named by the object and its part size, so that a part sent twice lands in one place.
json multipart_action(const Hub& hub, const AskedObject& asked) {
  const std::int64_t chunk = hub.settings.part_bytes;
  const std::int64_t parts = (asked.size + chunk - 1) / chunk;
  json header = {{"chunk_size", std::to_string(chunk)}};
  for (std::int64_t part = 1; part <= parts; ++part) {
    std::string number = std::to_string(part);
    number.insert(0, 5 - std::min<std::size_t>(5, number.size()), '0');
    header[number] = signed_address(hub, "PUT", "/parts/" + asked.oid + "/" + std::to_string(part));
  }
  return {{"href", signed_address(hub, "POST", "/complete/" + asked.oid)}, {"header", header}};
}

json upload_actions(const Hub& hub, const HubRequest& request, const AskedObject& asked,
                    bool multipart) {
  json upload = multipart ? multipart_action(hub, asked)
                          : json{{"href", signed_address(hub, "PUT", "/objects/" + asked.oid)}};
  // ".../objects/batch" becomes ".../objects/verify".
  const std::string base = request.path.substr(0, request.path.rfind('/'));
  return {{"upload", upload}, {"verify", {{"href", hub.endpoint + base + "/verify"}}}};
}

json download_actions(const Hub& hub, const AskedObject& asked) {
  return {{"download", {{"href", signed_address(hub, "GET", "/objects/" + asked.oid)}}}};
}

}  // namespace

HubAnswer lfs_batch(const Hub& hub, const HubRequest& request) {
  const json body = body_of(request);
  if (!body.contains("objects") || !body["objects"].is_array()) {
    return error_answer(422, "\"objects\" is required");
  }
  if (body["objects"].size() > kMostObjects) return error_answer(413, "too many objects");
  const bool upload = body.value("operation", json("")) == "upload";
  bool any_multipart = false;
  json objects = json::array();
  for (const json& object : body["objects"]) {
    const AskedObject asked = read_object(object);
    json told = {{"oid", asked.oid}, {"size", asked.size}};
    const bool known = hub.library.objects().has(asked.oid);
    if (!asked.is_valid()) {
      told["error"] = {{"code", 422}, {"message", "an oid of 64 hex digits and a size are needed"}};
    } else if (!upload && !known) {
      told["error"] = {{"code", 404}, {"message", "Object does not exist"}};
    } else if (!upload) {
      told["actions"] = download_actions(hub, asked);
    } else if (!known) {
      const bool multipart =
          asked.size > hub.settings.multipart_above_bytes && offers(body, "multipart");
      any_multipart = any_multipart || multipart;
      told["actions"] = upload_actions(hub, request, asked, multipart);
    }
    objects.push_back(told);
  }
  HubAnswer answer = json_answer({{"transfer", any_multipart ? "multipart" : "basic"},
                                  {"objects", objects},
                                  {"hash_algo", "sha256"}});
  answer.content_type = kLfsType;
  return answer;
}

HubAnswer lfs_verify(const Hub& hub, const HubRequest& request) {
  const AskedObject asked = read_object(body_of(request));
  if (!asked.is_valid() || hub.library.objects().size_of(asked.oid) != asked.size) {
    return error_answer(404, "the object was not uploaded, or has another size");
  }
  return json_answer(json::object());
}

}  // namespace mayfly::localhub
