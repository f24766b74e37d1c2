// What a guard and a sentinel do as long as nothing is deleted: nothing.
process.stdout.write("kept");
