// What a person may ask of a running agent, as files in the run directory's agent/requests/ folder.
//
// A file because it needs no port and no connection: on the local provider the launcher writes it
// itself, elsewhere over SSH. One request a file, `<utc>-<word>.json`, put there by rename; the
// agent takes them in name order, notes each in its decision journal, and then deletes it. A
// request that the agent dies over is taken again: asking twice changes nothing.
//
// Words: down        stop training, save, upload, destroy
//        down_now    destroy now, unsaved work is lost
//        checkpoint  checkpoint at the next step and go on
//        extend      raise the limits, by `minutes` and `dollars`; a limit at most doubles, and
//                    nothing is raised once the run has begun to stop (agent/extension.h)
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/usd.h"

namespace mayfly {

enum class RequestKind { down, down_now, checkpoint, extend };

struct Request {
  RequestKind kind = RequestKind::down;
  std::string by;  // who asked, for the journal: "launch down"
  WallTime at;
  std::string file;    // its name in the folder; set when read
  double minutes = 0;  // extend: to add to the time limit
  Usd spend{};         // extend: to add to the spend limit
};

std::string_view request_word(RequestKind kind);

// The file that a request is: its name in the folder, and what stands in it.
struct RequestFile {
  std::string name;
  std::string text;
};
RequestFile request_file(const Request& request);

// Makes the folder if need be. Error: refused, no_space.
Status send_request(const RunDirectory& run, const Request& request);
// Those that wait, oldest first. A file that is no request is left alone and not listed.
std::vector<Request> waiting_requests(const RunDirectory& run);
// Deletes it; one that is gone already is fine.
void close_request(const RunDirectory& run, const Request& request);

}  // namespace mayfly
