// Proof that a run's instance is gone, in receipt.json of the run directory.
//
// The agent writes it when the provider has accepted the destroy call: it will not live to see the
// end. Whoever lists the provider afterwards (`launch`, `status`) completes it. So `confirmed`
// always means: a listing made later than the call did not contain the instance any more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/usd.h"

namespace mayfly {

enum class ReceiptState { accepted_unconfirmed, confirmed };

struct Receipt {
  std::string run_id;
  std::string run_name;
  std::string provider;
  InstanceId instance_id;
  ReceiptState state = ReceiptState::accepted_unconfirmed;
  std::string reason;  // why the run ended: "finished", "spend_limit", ...
  int exit_code = 0;

  WallTime created_at;
  WallTime destroy_asked_at;               // of the call that was accepted
  std::string destroy_answer;              // what the provider said to it
  std::optional<WallTime> gone_listed_at;  // when the listing without the instance was made
  std::optional<WallTime> ended_at;        // as the provider says, where it does
  Usd cost;                                // metered, from created_at to ended_at or the call
  std::vector<std::string> safe_branches;  // whose listing on the hub agreed with our files
  std::string final_upload_sha256;  // of the lines "<sha256>  <path>\n" of the last safe upload
};

// Errors: refused, no_space.
Status write_receipt(const RunDirectory& run, const Receipt& receipt);
// Errors: not_found, corrupt.
Result<Receipt> read_receipt(const RunDirectory& run);

// Looks at the provider's listing; where the instance is not in it any more, fills in what is
// missing and returns the completed receipt. `price` is the plan's. Error: outcome_unknown while
// the provider still lists it, or the listing's own.
Result<Receipt> confirm_receipt(Receipt receipt, Provider& provider, const Price& price,
                                Clock& clock);

}  // namespace mayfly
