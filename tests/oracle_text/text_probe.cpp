// What the scripts beside this file compare with the reference: reads lines, answers with lines.
//
//   text_probe encode MODEL_DIR          each line of stdin a JSON string -> {"ids", "ends",
//                                        "decoded"}
//   text_probe chat MODEL_DIR FILE       each conversation of FILE -> {"ids", "mask", "text"} or
//                                        {"error"}
//   text_probe time MODEL_DIR FILE       seconds to load the model's text part, and the data set
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text/dataset.h"
#include "core/text/records.h"

namespace {

using namespace mayfly;

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", located_message(error).c_str());
  return 1;
}

int encode(const std::string& folder) {
  const auto tokenizer = Tokenizer::load(folder);
  if (!tokenizer) return fail(tokenizer.error());
  Encoder encoder(*tokenizer);
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto text = parse_json("[" + line + "]", "stdin");
    if (!text) return fail(text.error());
    const auto encoding = encoder.encode_with_ends((*text)[0].get_ref<const std::string&>());
    std::cout << json_line({{"ids", encoding.ids},
                            {"ends", encoding.ends},
                            {"decoded", tokenizer->decode(encoding.ids, false)}})
              << "\n";
  }
  return 0;
}

int chat(const std::string& folder, const std::string& file) {
  const auto model = TextModel::load(folder, kToday);
  if (!model) return fail(model.error());
  auto encoder =
      ChatEncoder::create(model->tokenizer(), *model->chat_template(), TrainOn::assistant);
  const auto records = read_records(file, DataFormat::automatic, 0);
  if (!records) return fail(records.error());
  for (const Record& record : records->records) {
    const auto text = encoder ? encoder->render(std::get<Conversation>(record.content).messages, 0)
                              : Result<RenderedTurns>(encoder.error());
    if (!text) {
      std::cout << json_line({{"error", text.error().message}}) << "\n";
      continue;
    }
    const auto example = encoder->encode(std::get<Conversation>(record.content).messages, 0);
    if (!example) return fail(example.error());
    std::cout << json_line(
                     {{"ids", example->ids}, {"mask", example->trained}, {"text", text->text}})
              << "\n";
  }
  return 0;
}

int time(const std::string& folder, const std::string& file) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  const auto begin = Clock::now();
  const auto model = TextModel::load(folder, kToday);
  if (!model) return fail(model.error());
  const double load = seconds(begin);
  DataConfig config;
  config.path = {file};
  config.cutoff_len = 1 << 20;
  const auto middle = Clock::now();
  const auto data = load_dataset(config, *model, {});
  if (!data) return fail(data.error());
  std::cout << json_line({{"load_seconds", load},
                          {"data_seconds", seconds(middle)},
                          {"rows", data->train_counts.examples},
                          {"tokens", data->train_counts.tokens},
                          {"trained", data->train_counts.tokens_trained_on}})
            << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "encode" && argc == 3) return encode(argv[2]);
  if (what == "chat" && argc == 4) return chat(argv[2], argv[3]);
  if (what == "time" && argc == 4) return time(argv[2], argv[3]);
  std::fprintf(stderr, "text_probe encode MODEL | chat MODEL FILE | time MODEL FILE\n");
  return 2;
}
