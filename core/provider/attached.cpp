#include "core/provider/attached.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "cloud_init.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kPrefix = "attached-";
constexpr auto kHereTakes = 20s;

// The script is its own standard input: what it leaves on the host is what it was called by.
std::string line_for(const std::string& verb, const AttachedPlace& place) {
  return "T=$(cat); printf '%s\\n' \"$T\" | sh -c \"$T\" mayfly " + verb + " " + place.folder +
         " " + attached_id(place.run_id);
}

Result<std::string> call(const std::string& verb, const AttachedPlace& place) {
  Result<CommandAnswer> said = place.shell(line_for(verb, place), kHostScript);
  if (!said) return said.error();
  if (said->code == 0) return std::move(said->out);
  return Error{ErrorKind::refused, place.address + ": " + said->err};
}

// The lines of `state`: "since SECONDS", and a word.
Result<Instance> read_state(const std::string& text, const AttachedPlace& place, WallTime now) {
  Instance instance{.id = attached_id(place.run_id),
                    .run_id = place.run_id,
                    .created_at = now,
                    .ended_at = {},
                    .price = place.price,
                    .address = place.address};
  std::istringstream lines(text);
  std::string word;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("since ")) word = line;
    const long long seconds = line.starts_with("since ") ? std::atoll(line.c_str() + 6) : 0;
    if (seconds > 0) instance.created_at = WallTime(std::chrono::seconds(seconds));
  }
  if (word == "gone") {
    return Error{ErrorKind::not_found, "there is nothing of " + instance.id + " on its host"};
  }
  if (word == "running") {
    instance.state = InstanceState::running;
  } else if (word == "ending") {
    instance.state = InstanceState::terminating;
  } else if (word == "failed") {
    instance.state = InstanceState::failed;
    instance.detail = "its processes are gone; was the host restarted?";
  } else {
    return Error{ErrorKind::unreachable, place.address + " says nothing of " + instance.id};
  }
  return instance;
}

}  // namespace

InstanceId attached_id(const std::string& run_id) {
  return std::string(kPrefix) + run_id;
}

AttachedPlace attached_here(const InstanceId& id, const std::string& root, const Price& price) {
  AttachedPlace place;
  place.run_id = id.starts_with(kPrefix) ? id.substr(kPrefix.size()) : id;
  place.address = "this host";
  // What the script looks for in environments must not be in its own.
  place.folder = "\"$MAYFLY_HERE\"";
  place.price = price;
  place.shell = [root](const std::string& line, std::string_view input) {
    const char* const path = std::getenv("PATH");
    return run_to_end({.argv = {"/bin/sh", "-c", line},
                       .environment = {std::string("PATH=") + (path ? path : "/usr/bin:/bin"),
                                       "MAYFLY_HERE=" + root},
                       .input = input,
                       .limit = kHereTakes});
  };
  return place;
}

AttachedProvider::AttachedProvider(std::vector<AttachedPlace> places, Clock& clock)
    : places_(std::move(places)), clock_(clock) {}

std::string AttachedProvider::name() const {
  return "attached";
}

ProviderTraits AttachedProvider::traits() const {
  ProviderTraits traits;
  traits.same_create_is_safe = true;
  traits.boot = BootForm::over_ssh;
  traits.console_url = "the host itself, folder ~/.mayfly";
  return traits;
}

Result<AttachedPlace> AttachedProvider::place_of(const InstanceId& id) const {
  const auto found = std::find_if(places_.begin(), places_.end(), [&](const AttachedPlace& place) {
    return attached_id(place.run_id) == id;
  });
  if (found != places_.end()) return *found;
  return Error{ErrorKind::not_found, "no run of this list has " + id};
}

Result<std::vector<Offer>> AttachedProvider::offers() {
  std::vector<Offer> all;
  for (const AttachedPlace& place : places_) {
    Offer offer;
    offer.provider = name();
    offer.instance_type = "a host that runs";
    offer.region = place.address;
    offer.price = place.price;
    all.push_back(std::move(offer));
  }
  return all;
}

CreateOutcome AttachedProvider::create(const InstanceSpec& spec) {
  const auto refused = [](Error error) {
    return CreateOutcome{CreateOutcome::Kind::refused, {}, std::move(error)};
  };
  const InstanceId id = attached_id(spec.run_id);
  const Result<AttachedPlace> place = place_of(id);
  if (!place) return refused(place.error());
  const Result<std::string> made = call("make", *place);
  if (made && made->starts_with("made ")) {
    return {CreateOutcome::Kind::made, id, Error{ErrorKind::internal, ""}};
  }
  if (!made && made.error().kind == ErrorKind::refused) return refused(made.error());
  Error why = made ? Error{ErrorKind::unreachable, place->address + " did not answer sensibly"}
                   : made.error();
  return {CreateOutcome::Kind::unknown, {}, std::move(why)};
}

Result<Instance> AttachedProvider::get(const InstanceId& id) {
  const Result<AttachedPlace> place = place_of(id);
  if (!place) return place.error();
  const Result<std::string> said = call("state", *place);
  if (!said) return said.error();
  return read_state(*said, *place, clock_.now());
}

Result<std::vector<Instance>> AttachedProvider::list_ours() {
  std::vector<Instance> all;
  for (const AttachedPlace& place : places_) {
    Result<Instance> instance = get(attached_id(place.run_id));
    if (instance) {
      all.push_back(std::move(*instance));
    } else if (instance.error().kind != ErrorKind::not_found) {
      return instance.error();
    }
  }
  return all;
}

Result<std::vector<Instance>> AttachedProvider::find_run(const std::string& run_id) {
  Result<Instance> instance = get(attached_id(run_id));
  if (instance) return std::vector<Instance>{std::move(*instance)};
  if (instance.error().kind == ErrorKind::not_found) return std::vector<Instance>{};
  return instance.error();
}

Status AttachedProvider::terminate(const InstanceId& id) {
  const Result<AttachedPlace> place = place_of(id);
  if (!place) return place.error();
  const Result<std::string> said = call("end", *place);
  if (!said) return said.error();
  return Unit{};
}

}  // namespace mayfly
