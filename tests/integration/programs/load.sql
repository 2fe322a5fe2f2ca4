.bail on
create table item (id integer primary key, name text not null, price real, stock int);
create table sale (item int references item, day int, amount int);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into item select i, 'item ' || (i * 7919 % 100000), i % 1000 / 10.0, i * 31 % 977 from n;
insert into sale select id * 17 % 100000 + 1, id % 365, id % 9 from item;
commit;
create index item_name on item (name);
create index sale_item on sale (item, day);
select count(*), sum(price), max(name) from item;
select name, price from item where name between 'item 500' and 'item 5002' order by name limit 5;
select day, sum(amount * price) from sale join item on item.id = sale.item group by day order by 2 desc limit 3;
delete from item where id % 10 = 3;
update item set stock = stock + 1 where price > 50;
select count(*), sum(stock) from item;
pragma integrity_check;
pragma foreign_key_check;
vacuum;
pragma integrity_check;
select count(*) from item i join sale s on s.item = i.id where i.stock > 500;
