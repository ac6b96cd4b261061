#include "core/config/describe.h"

#include <algorithm>

#include "core/config/aliases.h"
#include "core/config/field_list.h"
#include "core/config/not_built.h"

namespace mayfly {

namespace {

std::string range_words(const FieldInfo& field) {
  const auto number = [](double value) {
    std::string text = std::to_string(value);
    while (text.ends_with('0')) text.pop_back();
    if (text.ends_with('.')) text.pop_back();
    return text;
  };
  const std::string unit = field.type == "duration" ? " s" : "";
  if (field.at_least && field.at_most) {
    return number(*field.at_least) + " to " + number(*field.at_most) + unit;
  }
  if (field.at_least) return "from " + number(*field.at_least) + unit;
  return field.at_most ? "up to " + number(*field.at_most) + unit : "";
}

std::string type_text(const FieldInfo& field) {
  std::string text = field.type;
  if (!field.unit.empty()) text += ", " + field.unit;
  const std::string range = range_words(field);
  return range.empty() ? text : text + ", " + range;
}

std::string default_words(const FieldInfo& field) {
  if (field.path == "model.base") return "required";
  if (field.path == "data.path") return "this or mix is required";
  return field.default_text == "null" ? "not set" : field.default_text;
}

std::string help_line(const FieldInfo& field) {
  std::string line = "  " + field.key;
  line.resize(std::max<std::size_t>(line.size() + 2, 28), ' ');
  line += field.doc;
  line += "\n" + std::string(28, ' ') + type_text(field) + "; " + default_words(field);
  if (!field.flag.empty()) line += "; " + field.flag;
  return line + "\n";
}

std::string code(const std::string& text) {
  return text.empty() ? "" : "`" + text + "`";
}

// A text that Markdown shows as it is in a table: `|` would end the cell, `<` start a tag.
std::string table_cell(std::string text) {
  for (auto at = text.find_first_of("|<"); at != std::string::npos;
       at = text.find_first_of("|<", at + 2)) {
    text.insert(at, "\\");
  }
  return text;
}

void add_section(std::string& page, const std::string& section, const std::string& doc) {
  page += "\n## " + (section.empty() ? "Top level" : section) + "\n\n";
  if (!doc.empty()) page += doc + "\n\n";
  page += "| key | type | default | flag | meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const FieldInfo& field : all_fields()) {
    if (field.section != section) continue;
    std::string meaning = field.doc;
    if (!field.aliases.empty()) {
      meaning += " Also";
      for (const std::string& alias : field.aliases) {
        meaning += (alias == field.aliases.front() ? " `" : ", `") + alias + "`";
      }
      meaning += ".";
    }
    page += "| `" + field.key + "` | " + table_cell(type_text(field)) + " | " +
            (default_words(field) == field.default_text ? code(field.default_text)
                                                        : default_words(field)) +
            " | " + code(field.flag) + " | " + table_cell(meaning) + " |\n";
  }
}

void add_aliases(std::string& page) {
  page +=
      "\n## Keys of other tools' files\n\nThey load as they are; `launch config show --origin` "
      "says under which name a value\nwas given. A target under Not built yet is refused by "
      "name.\n\n| key | is |\n| --- | --- |\n";
  for (const Alias& alias : aliases()) {
    page += "| `" + std::string(alias.from) + "` | `" + std::string(alias.to) + "` |\n";
  }
}

void add_not_built(std::string& page) {
  page +=
      "\n## Not built yet\n\nRefused with file, line and column; a section's name stands for "
      "all in it. The values in the\nsecond column are accepted, because they ask for what "
      "happens anyway, as is `null`.\n\n| key | accepted | why |\n| --- | --- | --- |\n";
  for (const NotBuilt& key : not_built_keys()) {
    std::string accepted;
    for (const std::string& value : key.harmless)
      accepted += (accepted.empty() ? "" : ", ") + code(value);
    page += "| `" + key.path + "` | " + accepted + " | " + key.reason + " |\n";
  }
}

constexpr std::string_view kPageHead = R"(# Configuration

Written by the program from the descriptions in `core/config`; a test fails when this page is stale.
`launch config schema` prints the same as JSON Schema for editors.

A run file is a YAML map of sections. The shortest useful one:

```yaml
model: {base: Qwen/Qwen2.5-7B-Instruct}
data: {path: my.jsonl}
hub: {repo: me/my-adapter}
```

**Which value wins**, first to last: the command line (flags and `--set train.epochs=3`, the later
one wins); environment variables `MAYFLY_<SECTION>_<KEY>`, such as `MAYFLY_TRAIN_EPOCHS=3`; the files
of `-c`, the right-most first, laid over each other map by map; `$XDG_CONFIG_HOME/mayfly/config.yaml`;
`HF_TOKEN` and `HF_ENDPOINT`; the default. `launch config show --origin` prints each value with its
origin. `null` sets a field back to its default.

**In texts** of files and of the command line, `${NAME}` is an environment variable and `${NAME:-x}`
is `x` where it is unset or empty; `$${` is a literal `${`. Between `{}` or `[]` of YAML such a text
needs quotes. A file `.env` in the working directory (lines `NAME=value`) fills in variables that are
unset. `{name}` in `data.path`, `data.val_path`, `hub.repo`, `hub.repo_prefix` and `run.name` is the
value of `generate.vars.name`. `~/` at the start of a path is the home folder.

**Types.** Lists may be one text with commas (`"11,23"`). Durations are `90s`, `30m`, `6h`, `2d`;
numbers of hours or minutes may be given as durations too. Amounts are decimals with up to six
places. Only `true` and `false` are booleans. Numbers are decimal: no leading zero.

**Refused**, with file, line and column: unknown keys, with the nearest known one; duplicate keys;
anchors, aliases, merge keys and tags; a value of the wrong type or out of range; keys that are not
built yet. All problems are reported at once.
)";

}  // namespace

std::string config_help() {
  std::string text;
  std::string section = "?";
  for (const FieldInfo& field : all_fields()) {
    if (field.section != section) {
      section = field.section;
      text += (text.empty() ? "" : "\n") + (section.empty() ? "top level" : section) + ":\n";
    }
    text += help_line(field);
  }
  return text;
}

std::string config_page() {
  std::string page(kPageHead);
  add_section(page, "", "");
  for (const SectionInfo& section : all_sections()) add_section(page, section.name, section.doc);
  add_aliases(page);
  add_not_built(page);
  return page;
}

std::string config_template() {
  return R"(# A run of mayfly. What is commented out shows its default; docs/config.md has every key.
# Check it with `launch config check FILE`, see what it would do with `launch plan -c FILE`.
version: 1

model:
  base: Qwen/Qwen2.5-7B-Instruct   # a folder with config.json and safetensors, or a hub id

data:
  path: my.jsonl                   # one {"messages": [...]} a line
  # cutoff_len: 1024               # tokens
  # test_size: 0.0                 # share of the rows held out

lora:
  r: 8
  alpha: 16

train:
  epochs: 1
  learning_rate: 0.0002
  per_device_batch_size: 1
  # effective_batch_size: 1        # then gradient_accumulation is derived
  # warmup_ratio: 0.03             # default: no warm-up
  # lr_scheduler: cosine           # cosine, linear, constant, constant_with_warmup

# run:
#   name: my-run                   # default: from model, data and size
#   seeds: [42]                    # one run each

# hub:
#   repo: me/my-adapter            # with HF_TOKEN set; without, a local stand-in is used
#   private: false

limits:
  spend_limit: 150                 # USD, the whole run
  # ttl_hours: 6
  idle_minutes: 30
)";
}

}  // namespace mayfly
