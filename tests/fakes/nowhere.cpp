// The library that lacking_trainer needs and no machine has.
int nowhere();

int nowhere() {
  return 1;
}
