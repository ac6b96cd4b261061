// The files of a run directory and of an instance that more than one program reads: the record of a
// local instance, a request, a receipt.
#include <fstream>

#include "core/provider/local_record.h"
#include "core/provider/receipt.h"
#include "core/run/request.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  namespace fs = std::filesystem;
  static const RunDirectory run = [] {
    const RunDirectory made{fuzz_folder()};
    fs::create_directories(made.agent() / "requests");
    fs::create_symlink("../../input", made.agent() / "requests" / "one.json");
    fs::create_symlink("input", made.receipt());
    fs::create_symlink("input", made.root / "instance.json");
    return made;
  }();
  {
    std::ofstream out(run.root / "input", std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  }
  (void)read_local_record(run.root);
  (void)read_receipt(run);
  for (const Request& request : waiting_requests(run)) require(request.file == "one.json");
  return 0;
}
