// Whom a hub token belongs to, and what it may do: what can be known before a machine is rented.
//
// Source: GET /api/whoami-v2 as @huggingface/hub 2.4 types it (who-am-i.d.ts): `name`,
// `orgs[].name`, `auth.accessToken.role` of read, write, fineGrained; `auth.accessToken.expiration`
// where it has one. What a fine-grained token may do in detail is not documented, so it is not
// read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/hub_names.h"
#include "core/result.h"
#include "core/store/hub_session.h"

namespace mayfly {

struct HubAccount {
  std::string name;
  std::vector<std::string> organizations;
  std::string role;  // "read", "write", "fineGrained"; "" : the hub does not say
  std::optional<WallTime> expires_at;
};

// The real hub limits this call strictly: ask once. Errors: unauthorized, unreachable, corrupt.
Result<HubAccount> hub_account(HubSession& hub);

// Why the token cannot write to a repository of that owner; "" : nothing speaks against it.
std::string why_not_write(const HubAccount& account, const RepoName& repo);

// The base model that the adapter on the repository's branch main was trained for. nullopt: there
// is no such repository, or no adapter in it. Errors: unauthorized, unreachable, corrupt.
Result<std::optional<std::string>> adapter_base_of(HubSession& hub, const HubRepo& repo);

}  // namespace mayfly
