// A trainer that cannot start: its library is nowhere.
int nowhere();

int main() {
  return nowhere();
}
