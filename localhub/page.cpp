#include "core/url.h"
#include "localhub/api.h"

namespace mayfly::localhub {

namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += letter;
    }
  }
  return out;
}

std::string link(const std::string& to, const std::string& text) {
  return "<a href=\"" + escaped(to) + "\">" + escaped(text) + "</a>";
}

HubAnswer page(const std::string& title, const std::string& content) {
  HubAnswer answer;
  answer.content_type = "text/html; charset=utf-8";
  answer.body =
      "<!doctype html><html><head><meta charset=\"utf-8\"><title>" + escaped(title) +
      "</title><style>body{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
      "td,th{text-align:left;padding:.2em 1.5em .2em 0}</style></head><body><h1>" +
      escaped(title) + "</h1>" + content + "</body></html>\n";
  return answer;
}

}  // namespace

HubAnswer overview_page(const Hub& hub, bool with_private) {
  std::string rows;
  for (const Repository& repository : hub.library.all()) {
    const RepositoryInfo& info = repository.info();
    if (info.is_private && !with_private) continue;
    std::string branches;
    for (const auto& [name, commit] : repository.branches()) {
      branches += link(info.repo.web() + "/tree/" + percent_encode(name), name) + " ";
    }
    rows += "<tr><td>" + link(info.repo.web(), info.repo.name.full()) + "</td><td>" +
            std::string(repo_kind_name(info.repo.kind)) + "</td><td>" +
            (info.is_private ? "private" : "public") + "</td><td>" + branches + "</td></tr>";
  }
  return page("localhub", rows.empty() ? "<p>No repositories yet.</p>"
                                       : "<table><tr><th>repository</th><th>kind</th><th></th>"
                                         "<th>branches</th></tr>" +
                                             rows + "</table>");
}

HubAnswer repository_page(const Hub& hub, const Repository& repository,
                          const std::string& revision) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  const std::string web = repository.info().repo.web();
  std::string branches;
  for (const auto& [name, id] : repository.branches()) {
    branches += link(web + "/tree/" + percent_encode(name), name) + " ";
  }
  std::string rows;
  for (const auto& [path, entry] : commit->tree) {
    rows += "<tr><td>" + link(web + "/resolve/" + commit->id + "/" + encode_path(path), path) +
            "</td><td>" + std::to_string(entry.size) + "</td></tr>";
  }
  return page(repository.info().repo.name.full(),
              "<p>" + link(hub.endpoint + "/", "all repositories") + "</p><p>Branches: " +
                  branches + "</p><p>" + escaped(revision) + " is at " + commit->id.substr(0, 12) +
                  ", \"" + escaped(commit->summary) + "\", " + format_utc(commit->date) +
                  "</p><table><tr><th>file</th><th>bytes</th></tr>" + rows + "</table>");
}

}  // namespace mayfly::localhub
