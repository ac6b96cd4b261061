// The HuggingFace hub, or anything that speaks its protocol (localhub), as a Store. The protocol is
// the one that huggingface_hub 2.4.0 speaks, over plain Git LFS; docs/hub.md describes what is used
// of it.
#pragma once

#include <string>
#include <vector>

#include "core/hub_names.h"
#include "core/store/hub_session.h"
#include "core/store/store.h"

namespace mayfly {

class HubStore final : public Store {
 public:
  // `hub` must outlive the store. `private_repo` is only looked at when the repository is made.
  HubStore(HubSession& hub, HubRepo repo, bool private_repo);

  Status ensure_repository() override;
  Status ensure_branch(const std::string& branch) override;
  // A commit is atomic, and repeating one with the same content is harmless. No parent is named:
  // the branches are ours alone, and the hub's head may be read late. After an answer that was lost
  // or is a 5xx, the branch is read again and compared before the commit is sent again.
  Result<StoreCommit> commit(const std::string& branch, const std::string& summary,
                             const std::vector<StoreUpload>& files) override;
  Result<std::vector<StoredFile>> list(const std::string& revision) override;
  Result<std::vector<std::string>> branches() override;

 private:
  Status check_write_access(Retry& retry);
  Status check_card(const StoreUpload& card, Retry& retry);
  Result<StoreCommit> send_commit(const std::string& branch, const std::string& body,
                                  const std::vector<StoreUpload>& files, Retry& retry);

  HubSession& hub_;
  HubRepo repo_;
  bool private_repo_;
};

// The files at a revision, with their sizes and hashes; all pages. Errors as Store::list.
Result<std::vector<StoredFile>> list_hub_files(HubSession& hub, const HubRepo& repo,
                                               const std::string& revision, Retry& retry);
// The commit that a branch, tag or (part of a) commit id means.
Result<std::string> hub_commit_of(HubSession& hub, const HubRepo& repo, const std::string& revision,
                                  Retry& retry);

}  // namespace mayfly
