#include "core/model/torch_archive.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/pickle.h"
#include "core/zip.h"

namespace mayfly {

namespace {

using PickleKind = PickleValue::Kind;

constexpr std::string_view kRebuild = "torch._utils _rebuild_tensor_v2";
constexpr std::array kStorages = {
    std::pair{std::string_view("torch FloatStorage"), TensorType::f32},
    std::pair{std::string_view("torch BFloat16Storage"), TensorType::bf16},
    std::pair{std::string_view("torch HalfStorage"), TensorType::f16}};
constexpr std::array<std::string_view, 5> kNames = {"collections OrderedDict", kRebuild,
                                                    kStorages[0].first, kStorages[1].first,
                                                    kStorages[2].first};
constexpr std::size_t kMostDimensions = 8;

using Bytes = std::span<const std::byte>;

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The members of one archive, each checked against its checksum when it is first asked for.
class ArchiveMembers {
 public:
  ArchiveMembers(const ZipFile& zip, Bytes file, std::string what)
      : zip_(zip), file_(file), what_(std::move(what)) {}

  Error corrupt(const std::string& why) const {
    return {ErrorKind::corrupt, what_ + ": " + why};
  }

  // The folder that all members are in is named after the file when it was written.
  Status find_folder() {
    for (const ZipMember& member : zip_.members()) {
      if (member.name.find('/') != member.name.rfind('/')) continue;
      if (!member.name.ends_with("/data.pkl")) continue;
      folder_ = member.name.substr(0, member.name.find('/') + 1);
      return Unit{};
    }
    return corrupt("it is no file of torch.save: there is no data.pkl");
  }

  Result<Bytes> bytes(const std::string& name) {
    const auto known = known_.find(name);
    if (known != known_.end()) return known->second;
    const ZipMember* const member = zip_.find(folder_ + name);
    if (member == nullptr) return corrupt(name + " is not there, or twice");
    const Result<Bytes> found = zip_.stored_bytes(*member, file_);
    if (!found) return found.error();
    known_.emplace(name, *found);
    return found;
  }

  bool has(const std::string& name) const {
    return zip_.find(folder_ + name) != nullptr;
  }
  const std::string& what() const {
    return what_;
  }

 private:
  const ZipFile& zip_;
  Bytes file_;
  std::string what_;
  std::string folder_;
  std::map<std::string, Bytes> known_;
};

// What the pickle says of one tensor.
class TensorCall {
 public:
  TensorCall(const Pickle& pickle, const PickleValue& value) : pickle_(pickle) {
    if (value.kind != PickleKind::object || value.text != kRebuild) return;
    arguments_ = &pickle[value.items.front()];
    if (arguments_->items.size() < 4) arguments_ = nullptr;
  }
  bool is_tensor() const {
    return arguments_ != nullptr;
  }
  // ("storage", type, member, device, elements); nullptr: something else.
  const PickleValue* storage() const {
    const PickleValue& outside = argument(0);
    if (outside.kind != PickleKind::outside) return nullptr;
    const PickleValue& tuple = pickle_[outside.items.front()];
    if (tuple.kind != PickleKind::tuple || tuple.items.size() != 5) return nullptr;
    const bool right = pickle_[tuple.items[0]].text == "storage" &&
                       pickle_[tuple.items[1]].kind == PickleKind::name &&
                       pickle_[tuple.items[2]].kind == PickleKind::text;
    return right ? &tuple : nullptr;
  }
  std::int64_t offset() const {
    return argument(1).kind == PickleKind::number ? argument(1).number : -1;
  }
  // nullopt: no tuple of numbers from 0 on.
  std::optional<std::vector<std::int64_t>> numbers(std::size_t index) const {
    const PickleValue& tuple = argument(index);
    if (tuple.kind != PickleKind::tuple || tuple.items.size() > kMostDimensions)
      return std::nullopt;
    std::vector<std::int64_t> values;
    for (const PickleValue::Index item : tuple.items) {
      if (pickle_[item].kind != PickleKind::number || pickle_[item].number < 0) return std::nullopt;
      values.push_back(pickle_[item].number);
    }
    return values;
  }

 private:
  const PickleValue& argument(std::size_t index) const {
    return pickle_[arguments_->items[index]];
  }
  const Pickle& pickle_;
  const PickleValue* arguments_ = nullptr;
};

// Of a tensor of that shape; nullopt: more than there can be.
std::optional<std::int64_t> elements_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count) || count > INT64_MAX / 8) return std::nullopt;
  }
  return count;
}

bool rows_follow_each_other(const std::vector<std::int64_t>& shape,
                            const std::vector<std::int64_t>& strides) {
  if (strides.size() != shape.size()) return false;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return true;  // none at all
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0; expected *= shape[i]) {
    if (shape[i] != 1 && strides[i] != expected) return false;
  }
  return true;
}

Result<StoredTensor> read_tensor(const Pickle& pickle, const std::string& name,
                                 const PickleValue& value, ArchiveMembers& members) {
  const std::string of = "tensor \"" + name + "\"";
  const TensorCall call(pickle, value);
  if (!call.is_tensor()) {
    return Error{ErrorKind::unsupported, members.what() + ": \"" + name + "\" is no tensor"};
  }
  const PickleValue* const storage = call.storage();
  const auto shape = call.numbers(2);
  const auto strides = call.numbers(3);
  const auto elements = shape ? elements_of(*shape) : std::nullopt;
  if (storage == nullptr || !elements || !strides || call.offset() < 0) {
    return members.corrupt(of + " is described wrongly");
  }
  if (!rows_follow_each_other(*shape, *strides)) {
    return Error{ErrorKind::unsupported,
                 members.what() + ": the rows of " + of + " are not one behind the other",
                 "save it again after .contiguous()"};
  }
  StoredTensor tensor{.name = name, .type = TensorType::f32, .shape = *shape, .bytes = {}};
  for (const auto& [type_name, type] : kStorages) {
    if (pickle[storage->items[1]].text == type_name) tensor.type = type;
  }
  const Result<Bytes> bytes = members.bytes("data/" + pickle[storage->items[2]].text);
  if (!bytes) return bytes.error();
  const std::int64_t width = tensor_type_bytes(tensor.type);
  const auto held = static_cast<std::int64_t>(bytes->size()) / width;
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(bytes->data()) % static_cast<std::uintptr_t>(width) == 0;
  if (!aligned || call.offset() > held || *elements > held - call.offset()) {
    return members.corrupt(of + " has more numbers than its storage, or is not where it may be");
  }
  tensor.bytes = bytes->subspan(static_cast<std::size_t>(call.offset() * width),
                                static_cast<std::size_t>(*elements * width));
  return tensor;
}

Result<std::vector<StoredTensor>> read_dict(ArchiveMembers& members) {
  const Result<Bytes> bytes = members.bytes("data.pkl");
  if (!bytes) return bytes.error();
  const Result<Pickle> pickle = Pickle::parse(text_of(*bytes), members.what(), kNames);
  if (!pickle) return pickle.error();
  const PickleValue& dict = pickle->root();
  if (dict.kind != PickleKind::dict) {
    return Error{ErrorKind::unsupported, members.what() + ": it is no dict of tensors"};
  }
  std::vector<StoredTensor> tensors;
  std::set<std::string_view> names;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& key = (*pickle)[dict.items[i]];
    if (key.kind != PickleKind::text) return members.corrupt("a tensor has no name");
    if (!names.insert(key.text).second) {
      return members.corrupt("tensor \"" + key.text + "\" stands twice");
    }
    Result<StoredTensor> tensor =
        read_tensor(*pickle, key.text, (*pickle)[dict.items[i + 1]], members);
    if (!tensor) return tensor.error();
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

}  // namespace

Result<TorchArchive> TorchArchive::open(const std::filesystem::path& path) {
  const Result<ZipFile> zip = ZipFile::open(path, [](std::string_view) { return true; });
  if (!zip) {
    Error error = zip.error();
    if (error.kind == ErrorKind::corrupt) {
      error.hint = "torch.save writes zip archives since PyTorch 1.6; the file may be cut short";
    }
    return error;
  }
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.error();
  TorchArchive archive(std::move(*file));
  ArchiveMembers members(*zip, archive.file_.bytes(), path.string());
  if (Status found = members.find_folder(); !found) return found.error();
  if (members.has("byteorder")) {
    const Result<Bytes> order = members.bytes("byteorder");
    if (!order) return order.error();
    if (text_of(*order) != "little") {
      return Error{ErrorKind::unsupported, path.string() + ": its numbers are big endian"};
    }
  }
  Result<std::vector<StoredTensor>> tensors = read_dict(members);
  if (!tensors) return tensors.error();
  archive.tensors_ = std::move(*tensors);
  return archive;
}

}  // namespace mayfly
