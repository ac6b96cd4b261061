// The calls of the hub's protocol, by family. Each handler is a function of the hub and the
// request. The router has checked the token and found the repository where one is named.
// References: huggingface_hub 2.4.0 (hf_api.py, lfs.py, file_download.py), and docs/hub.md.
#pragma once

#include <string>

#include "localhub/exchange.h"
#include "localhub/hub.h"
#include "localhub/repository.h"

namespace mayfly::localhub {

// account_api.cpp: who you are, what exists.
HubAnswer whoami(const Hub& hub);
HubAnswer create_repo(Hub& hub, const HubRequest& request);
HubAnswer delete_repo(Hub& hub, const HubRequest& request);
HubAnswer validate_card(const HubRequest& request);
HubAnswer list_repos(const Hub& hub, RepoKind kind, bool with_private);

// repo_api.cpp: one repository, its branches and history.
HubAnswer repo_info(const Repository& repository, const std::string& revision, bool with_sizes);
HubAnswer change_settings(Hub& hub, Repository& repository, const HubRequest& request);
HubAnswer list_refs(const Repository& repository, bool with_pull_requests);
HubAnswer create_branch(Hub& hub, Repository& repository, const std::string& branch,
                        const HubRequest& request);
HubAnswer delete_branch(Hub& hub, Repository& repository, const std::string& branch);
HubAnswer create_tag(Hub& hub, Repository& repository, const std::string& revision,
                     const HubRequest& request);
HubAnswer delete_tag(Hub& hub, Repository& repository, const std::string& tag);
HubAnswer list_commits(const Repository& repository, const std::string& revision);
HubAnswer squash_branch(Hub& hub, Repository& repository, const std::string& branch,
                        const HubRequest& request);

// tree_api.cpp: what files there are.
HubAnswer list_files(const Hub& hub, const Repository& repository, const std::string& revision,
                     const std::string& folder, const HubRequest& request);
HubAnswer paths_info(const Repository& repository, const std::string& revision,
                     const HubRequest& request);

// commit_api.cpp: changing them.
HubAnswer preupload(const Hub& hub, const Repository& repository, const std::string& branch,
                    const HubRequest& request);
HubAnswer make_commit(Hub& hub, Repository& repository, const std::string& branch,
                      const HubRequest& request);

// lfs_api.cpp: where the bytes of large files go.
HubAnswer lfs_batch(const Hub& hub, const HubRequest& request);
HubAnswer lfs_verify(const Hub& hub, const HubRequest& request);

// resolve_api.cpp: reading a file.
HubAnswer resolve_file(const Hub& hub, const Repository& repository, const std::string& revision,
                       const std::string& path, const HubRequest& request);

// storage_origin.cpp: the second origin, where signed addresses lead.
HubAnswer answer_storage(Hub& hub, const HubRequest& request);

// page.cpp: for a person with a browser.
HubAnswer overview_page(const Hub& hub, bool with_private);
HubAnswer repository_page(const Hub& hub, const Repository& repository,
                          const std::string& revision);

// Body as JSON object; an empty object when it is not one.
nlohmann::json body_of(const HubRequest& request);
// 404 with the words of the error and the code RevisionNotFound.
HubAnswer revision_not_found(const Error& error);
// The status for an error of storage: 404 EntryNotFound, 409, 400, 507 or 500.
HubAnswer storage_error(const Error& error);

}  // namespace mayfly::localhub
