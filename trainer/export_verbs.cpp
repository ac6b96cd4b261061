#include "trainer/export_verbs.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "trainer/export_gguf.h"
#include "trainer/import_nanochat.h"
#include "trainer/merge.h"

namespace mayfly {

namespace {

std::int64_t shard_bytes(const TrainCommandLine& line) {
  return static_cast<std::int64_t>(line.exported.max_shard_gb * 1e9);
}

}  // namespace

std::vector<Error> run_merge(const TrainCommandLine& line) {
  const Result<MergedModel> merged = merge({.model_dir = line.model.model_dir,
                                            .adapter_dir = line.model.adapter_dir,
                                            .out_dir = line.exported.out,
                                            .type = line.exported.type,
                                            .most_shard_bytes = shard_bytes(line)});
  if (!merged) return {merged.error()};
  const std::string text = line.json ? json_line({{"path", line.exported.out},
                                                  {"tensors", merged->tensors},
                                                  {"adapted", merged->adapted},
                                                  {"shards", merged->shards},
                                                  {"bytes", merged->bytes}})
                                     : line.exported.out;
  std::fputs((text + "\n").c_str(), stdout);
  return {};
}

std::vector<Error> run_export(const TrainCommandLine& line) {
  const Result<ExportedModel> exported = export_gguf({.model_dir = line.model.model_dir,
                                                      .adapter_dir = line.model.adapter_dir,
                                                      .out = line.exported.out,
                                                      .type = line.exported.gguf});
  if (!exported) return {exported.error()};
  if (exported->kept_in_f16 > 0 && line.verbosity >= 0) {
    std::fprintf(stderr, "%lld matrices are in f16: their rows are no whole blocks of 32\n",
                 static_cast<long long>(exported->kept_in_f16));
  }
  const std::string text = line.json ? json_line({{"path", line.exported.out},
                                                  {"tensors", exported->tensors},
                                                  {"kept_in_f16", exported->kept_in_f16},
                                                  {"bytes", exported->bytes}})
                                     : line.exported.out;
  std::fputs((text + "\n").c_str(), stdout);
  return {};
}

std::vector<Error> run_import(const TrainCommandLine& line) {
  const Result<ImportedModel> imported =
      import_nanochat({.checkpoint_dir = line.imported.checkpoint_dir,
                       .tokenizer_dir = line.imported.tokenizer_dir,
                       .out_dir = line.exported.out,
                       .step = line.imported.step,
                       .type = line.exported.type,
                       .most_shard_bytes = shard_bytes(line)});
  if (!imported) return {imported.error()};
  const std::string text = line.json ? json_line({{"path", line.exported.out},
                                                  {"step", imported->step},
                                                  {"tensors", imported->tensors},
                                                  {"parameters", imported->parameters},
                                                  {"shards", imported->shards},
                                                  {"bytes", imported->bytes}})
                                     : line.exported.out;
  std::fputs((text + "\n").c_str(), stdout);
  return {};
}

}  // namespace mayfly
