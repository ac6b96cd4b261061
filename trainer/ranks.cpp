#include "trainer/ranks.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/descriptor.h"

namespace mayfly {

namespace {

constexpr std::chrono::minutes kMeetLimit{30};

Result<int> number_variable(const char* name, int least, int most) {
  const char* const text = std::getenv(name);
  if (text == nullptr || *text == '\0') {
    return Error{ErrorKind::invalid_config,
                 std::string(name) + " is not set, and other variables of several processes are",
                 "torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT"};
  }
  const std::string_view word(text);
  int number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code == std::errc() && end == word.data() + word.size() && number >= least &&
      number <= most) {
    return number;
  }
  return Error{ErrorKind::invalid_config, std::string(name) + " is \"" + text +
                                              "\", not a number from " + std::to_string(least) +
                                              " to " + std::to_string(most)};
}

// Our address as rank 0 sees it. Gloo's own choice is what the machine's name resolves to, which is
// often 127.0.1.1. Nothing is sent.
std::string address_towards(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), "9", &wanted, &found); code != 0) {
    throw std::runtime_error(host + ": " + ::gai_strerror(code));
  }
  const Descriptor socket(::socket(found->ai_family, SOCK_DGRAM, 0));
  const int connected = ::connect(socket.get(), found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  sockaddr_storage ours{};
  socklen_t size = sizeof ours;
  auto* const address = reinterpret_cast<sockaddr*>(&ours);
  std::array<char, NI_MAXHOST> text{};
  if (connected != 0 || ::getsockname(socket.get(), address, &size) != 0 ||
      ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    throw std::runtime_error("no way to " + host);
  }
  return text.data();
}

// Reached from this machine alone; the store itself would listen on every address.
struct Listener {
  Descriptor socket;
  std::uint16_t port = 0;
};

Result<Listener> listen_here() {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  auto* const address = reinterpret_cast<sockaddr*>(&place);
  if (socket.get() < 0 || ::bind(socket.get(), address, size) != 0 ||
      ::listen(socket.get(), 64) != 0 || ::getsockname(socket.get(), address, &size) != 0) {
    return Error{ErrorKind::refused,
                 std::string("listening for the other processes: ") + std::strerror(errno)};
  }
  return Listener{std::move(socket), ntohs(place.sin_port)};
}

std::string first_line_of(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

Result<std::optional<RankPlace>> rank_place() {
  if (std::getenv("RANK") == nullptr && std::getenv("WORLD_SIZE") == nullptr) {
    return std::optional<RankPlace>();
  }
  RankPlace place;
  const Result<int> size = number_variable("WORLD_SIZE", 1, 4096);
  if (!size) return size.error();
  const Result<int> rank = number_variable("RANK", 0, *size - 1);
  if (!rank) return rank.error();
  const Result<int> local = number_variable("LOCAL_RANK", 0, *size - 1);
  if (!local) return local.error();
  const Result<int> port = number_variable("MASTER_PORT", 1, 65535);
  if (!port) return port.error();
  const char* const address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0') {
    return Error{ErrorKind::invalid_config, "MASTER_ADDR is not set, and RANK is",
                 "the address of the machine with rank 0"};
  }
  place.rank = *rank;
  place.size = *size;
  place.local_rank = *local;
  place.master_addr = address;
  place.master_port = *port;
  return std::optional(place);
}

struct Ranks::Group {
  RankPlace place;
  std::chrono::seconds limit;
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::Backend> gloo;
  // How often all have met: what a rank that is waited for has not reached.
  std::int64_t meetings = 0;

  std::string key(int rank) const {
    return "met/" + std::to_string(rank);
  }
  // Those who have not come to this meeting.
  std::string missing() {
    std::string names;
    try {
      store->setTimeout(std::chrono::seconds(5));
      for (int rank = 0; rank < place.size; ++rank) {
        if (rank == place.rank || store->add(key(rank), 0) >= meetings) continue;
        names += (names.empty() ? "rank " : ", ") + std::to_string(rank);
      }
    } catch (const std::exception&) {
      return "rank 0";  // it keeps the list
    }
    return names;
  }
  // All came, and one died or hung in the middle: those who do not learn that it failed. Closing
  // our connections tells everybody who waits for us.
  std::string silent() {
    constexpr std::chrono::seconds kAnswersWithin{5};
    const auto failed = [](int rank) { return "failed/" + std::to_string(rank); };
    gloo.reset();
    std::string names;
    try {
      store->add(failed(place.rank), 1);
      const auto until = std::chrono::steady_clock::now() + kAnswersWithin;
      do {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        names.clear();
        for (int rank = 0; rank < place.size; ++rank) {
          if (store->add(failed(rank), 0) > 0) continue;
          names += (names.empty() ? "rank " : ", ") + std::to_string(rank);
        }
      } while (!names.empty() && std::chrono::steady_clock::now() < until);
    } catch (const std::exception&) {
      return "rank 0";
    }
    return names;
  }
  void all(const auto& work) {
    ++meetings;
    try {
      store->add(key(place.rank), 1);
      work();
    } catch (const std::exception& error) {
      std::string names = missing();
      if (names.empty()) names = silent();
      throw RankLost((names.empty() ? "another rank" : names) +
                     " is gone or hangs; the others waited for it (" + first_line_of(error.what()) +
                     ")");
    }
  }
  void reduce(const at::Tensor& values, bool only_from_first) {
    all([&] {
      std::vector<at::Tensor> parts = {values.cpu()};
      const auto work = only_from_first ? gloo->broadcast(parts) : gloo->allreduce(parts);
      work->wait();
      if (!parts[0].is_same(values)) values.copy_(parts[0]);
    });
  }
};

Ranks::Ranks() = default;
Ranks::Ranks(Ranks&&) noexcept = default;
Ranks& Ranks::operator=(Ranks&&) noexcept = default;
Ranks::~Ranks() = default;
Ranks::Ranks(std::unique_ptr<Group> group) : group_(std::move(group)) {}

Result<Ranks> Ranks::join(const RankPlace& place, std::chrono::seconds limit) {
  auto group = std::make_unique<Group>();
  group->place = place;
  group->limit = limit;
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(place.master_port);
  options.isServer = place.rank == 0;
  options.numWorkers = static_cast<std::size_t>(place.size);
  options.waitWorkers = false;
  options.timeout = kMeetLimit;
  try {
    group->store = c10::make_intrusive<c10d::TCPStore>(place.master_addr, options);
  } catch (const std::exception& error) {
    return Error{ErrorKind::unreachable, "rank " + std::to_string(place.rank) +
                                             " cannot reach rank 0 at " + place.master_addr + ":" +
                                             std::to_string(place.master_port) + ": " +
                                             first_line_of(error.what())};
  }
  Ranks ranks(std::move(group));
  if (Status all = ranks.wait_for_others(); !all) return all.error();
  return ranks;
}

Result<Ranks> Ranks::listen(int size, std::chrono::seconds limit) {
  auto group = std::make_unique<Group>();
  group->place = {.rank = 0, .size = size, .local_rank = 0, .master_addr = "127.0.0.1"};
  group->limit = limit;
  const Result<Listener> listener = listen_here();
  if (!listener) return listener.error();
  c10d::TCPStoreOptions options;
  options.port = listener->port;
  options.masterListenFd = ::dup(listener->socket.get());  // the store closes it
  options.isServer = true;
  options.numWorkers = static_cast<std::size_t>(size);
  options.waitWorkers = false;
  options.timeout = kMeetLimit;
  try {
    group->store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  } catch (const std::exception& error) {
    return Error{ErrorKind::refused,
                 std::string("listening for the other processes: ") + first_line_of(error.what())};
  }
  group->place.master_port = group->store->getPort();
  return Ranks(std::move(group));
}

int Ranks::port() const {
  return group_ ? group_->place.master_port : 0;
}

Status Ranks::wait_for_others() {
  if (!group_) return Unit{};
  const RankPlace& place = group_->place;
  try {
    // All are there before anything waits by the limit of a step.
    group_->store->add("here/" + std::to_string(place.rank), 1);
    std::vector<std::string> all;
    for (int rank = 0; rank < place.size; ++rank) all.push_back("here/" + std::to_string(rank));
    group_->store->wait(all, group_->limit);
    const auto options = c10d::ProcessGroupGloo::Options::create(group_->limit);
    options->devices.push_back(
        c10d::ProcessGroupGloo::createDeviceForHostname(address_towards(place.master_addr)));
    group_->gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(group_->store, place.rank, place.size, options);
  } catch (const std::exception& error) {
    return Error{ErrorKind::unreachable,
                 "not all of the " + std::to_string(place.size) +
                     " processes came: " + first_line_of(error.what()),
                 "each needs its own RANK, and the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT"};
  }
  return Unit{};
}

int Ranks::rank() const {
  return group_ ? group_->place.rank : 0;
}

int Ranks::size() const {
  return group_ ? group_->place.size : 1;
}

int Ranks::local_rank() const {
  return group_ ? group_->place.local_rank : 0;
}

void Ranks::sum(const at::Tensor& values) const {
  if (group_) group_->reduce(values, false);
}

double Ranks::sum(double value) const {
  if (!group_) return value;
  const at::Tensor one = at::scalar_tensor(value, at::kDouble).reshape({1});
  sum(one);
  return one.item<double>();
}

std::int64_t Ranks::sum(std::int64_t value) const {
  if (!group_) return value;
  const at::Tensor one = at::scalar_tensor(value, at::kLong).reshape({1});
  sum(one);
  return one.item<std::int64_t>();
}

bool Ranks::any(bool value) const {
  return sum(std::int64_t{value ? 1 : 0}) > 0;
}

void Ranks::take_from_first(const at::Tensor& values) const {
  if (group_) group_->reduce(values, true);
}

std::string Ranks::from_first(const std::string& text) const {
  if (!group_) return text;
  const std::int64_t size = sum(is_first() ? static_cast<std::int64_t>(text.size()) : 0);
  if (size == 0) return {};
  const at::Tensor bytes = at::empty({size}, at::kByte);
  if (is_first()) std::memcpy(bytes.data_ptr(), text.data(), text.size());
  take_from_first(bytes);
  return {static_cast<const char*>(bytes.data_ptr()), static_cast<std::size_t>(size)};
}

void Ranks::meet() const {
  if (!group_) return;
  group_->all([&] {
    std::vector<std::string> all;
    const std::string name = "meet/" + std::to_string(group_->meetings) + "/";
    group_->store->add(name + std::to_string(group_->place.rank), 1);
    for (int rank = 0; rank < group_->place.size; ++rank) {
      all.push_back(name + std::to_string(rank));
    }
    group_->store->wait(all, kMeetLimit);
  });
}

}  // namespace mayfly
